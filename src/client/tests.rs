//! Tests of clients: threads, waiting inside of tasks, resources, failures, lifetimes.

use std::future::Future as StdFuture;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;

use super::*;
use crate::error::Error;

mod model;

/// Long enough to fail a test rather than to hang it.
const LONG: Duration = Duration::from_secs(60);

fn client(n_threads: usize) -> Client {
    Client::builder().threads(n_threads).build().unwrap()
}

/// A task that does not end before it is told to.
struct Gate {
    open: Sender<()>,
    entered: Receiver<()>,
}

impl Gate {
    /// The gate, and a function that goes through it.
    fn new() -> (Gate, impl Fn() -> u32 + Send + Sync + 'static) {
        let ((open, opened), (enter, entered)) = (channel(), channel());
        let ends = Mutex::new((enter, opened));
        let pass = move || {
            let ends = ends.lock().unwrap();
            ends.0.send(()).unwrap();
            ends.1.recv_timeout(LONG).unwrap();
            1
        };
        (Gate { open, entered }, pass)
    }

    fn wait_for_entry(&self) {
        self.entered.recv_timeout(LONG).unwrap();
    }

    fn open(&self) {
        self.open.send(()).unwrap();
    }
}

/// A handle on which all threads of a client wait, so that what is submitted now stays where it is.
fn occupied(client: &Client) -> Vec<(Gate, Future<u32>)> {
    let gates = (0..client.n_threads()).map(|_| {
        let (gate, pass) = Gate::new();
        (gate, client.task().priority(i64::MAX).submit(pass, ()))
    });
    let gates: Vec<_> = gates.collect();
    gates.iter().for_each(|(gate, _)| gate.wait_for_entry());
    gates
}

fn release(gates: &[(Gate, Future<u32>)]) {
    gates.iter().for_each(|(gate, _)| gate.open());
}

#[test]
fn futures_are_arguments_of_further_calls() {
    for n_threads in [1, 3] {
        let client = client(n_threads);
        let one = client.submit(|| 1.0, ());
        let shared = client.scatter(vec![10.0, 20.0]);
        let sum = |x: &f64, list: &Vec<f64>, y: &f64| x + list.iter().sum::<f64>() + y;
        let total = client.submit(sum, (&one, &shared, 0.5));
        assert_eq!(total.result().unwrap(), 31.5);
        let all = client.submit(|all: &Vec<f64>| all.len(), (vec![one.clone(), total],));
        assert_eq!((all.result().unwrap(), one.is_done()), (2, true));
        let compute = client.compute(crate::Delayed::ready(5).map(|x| x + 1));
        assert_eq!(compute.result().unwrap(), 6);
    }
}

#[test]
fn long_chains_and_many_tasks_end() {
    let client = client(2);
    let mut last = client.scatter(0_u64);
    for _ in 0..20_000 {
        last = client.submit(|x: &u64| x + 1, (last,));
    }
    assert_eq!(last.result().unwrap(), 20_000);
    let squares = client.map(|x: &u64| x * x, 0..20_000_u64);
    let sum = client.submit(|all: &Vec<u64>| all.iter().sum::<u64>(), (&squares,));
    assert_eq!(sum.result().unwrap(), (0..20_000).map(|x| x * x).sum::<u64>());
}

fn fibonacci(client: &Client, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let part = |n: u64| {
        let inner = client.clone();
        client.submit(move || fibonacci(&inner, n), ())
    };
    let (a, b) = (part(n - 1), part(n - 2));
    a.result().unwrap() + b.result().unwrap()
}

#[test]
fn tasks_submit_tasks_and_wait_for_them() {
    for n_threads in [1, 2, 4] {
        assert_eq!(fibonacci(&client(n_threads), 13), 233);
    }
}

/// Each waits for the one before inside of itself, and the last starts first.
#[test]
fn waiting_tasks_do_not_fill_the_stack() {
    let client = client(2);
    let gates = occupied(&client);
    let mut last = client.submit(|| 0_u32, ());
    for i in 0..300 {
        let before = last.clone();
        last = client.task().priority(i).submit(move || before.result().unwrap() + 1, ());
    }
    release(&gates);
    assert_eq!(last.result().unwrap(), 300);
}

/// The task that is waited for runs elsewhere; its waiter gives its place to the one that lets it go on.
#[test]
fn a_task_that_waits_gives_its_place_to_others() {
    let client = client(1);
    let (gate, pass) = Gate::new();
    let (told, tells) = channel();
    let told = Mutex::new(told);
    let slow = client.submit(pass, ());
    gate.wait_for_entry();
    let waits = slow.clone();
    let outer = client.submit(
        move || {
            told.lock().unwrap().send(()).unwrap();
            waits.result().unwrap()
        },
        (),
    );
    // A place is free only when the task inside of the gate waits, which it does not: this thread lets it out.
    assert!(!outer.wait_timeout(Duration::from_millis(5)));
    gate.open();
    tells.recv_timeout(LONG).unwrap();
    assert_eq!(outer.result().unwrap(), 1);

    let client = Client::builder().threads(2).build().unwrap();
    let (gate, pass) = Gate::new();
    let slow = client.submit(pass, ());
    gate.wait_for_entry();
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let slow = slow.clone();
            client.submit(move || slow.result().unwrap(), ())
        })
        .collect();
    // All of them wait for the gate, on one thread and those that came in for it.
    let opens = Mutex::new(gate);
    let opener = client.submit(move || opens.lock().unwrap().open(), ());
    assert!(opener.wait_timeout(LONG));
    assert_eq!(client.gather(&waiters).unwrap(), [1; 8]);
}

#[test]
fn at_most_so_many_tasks_run_at_once() {
    let client = client(3);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let task = {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        move |client: &Client| {
            most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::yield_now();
            running.fetch_sub(1, SeqCst);
            // While it waits for the inner one, another may run.
            let (inner_running, most) = (Arc::clone(&running), Arc::clone(&most));
            let inner = client.submit(
                move || {
                    most.fetch_max(inner_running.fetch_add(1, SeqCst) + 1, SeqCst);
                    std::thread::yield_now();
                    inner_running.fetch_sub(1, SeqCst);
                },
                (),
            );
            inner.result().unwrap();
        }
    };
    let all = client.map(task, (0..200).map(|_| client.clone()));
    client.gather(&all).unwrap();
    assert!(most.load(SeqCst) <= 3, "{most:?}");
}

#[cfg(feature = "array")]
#[test]
fn tasks_compute() {
    let expected = 999.0 * 1000.0 / 2.0;
    for n_threads in [1, 2, 4] {
        let client = client(n_threads);
        let sum = |shift: &f64| {
            let x = crate::array::arange(0., 1000., 1., [50]) + *shift;
            x.sum(..).compute().unwrap()[[]]
        };
        let sums = client.map(sum, (0..20).map(f64::from));
        let here = crate::array::arange(0., 1000., 1., [50]).sum(..);
        let outside = Config::new().with_threads(n_threads).scope(|| here.compute()).unwrap();
        assert_eq!(outside[[]], expected);
        let sums = client.gather(&sums).unwrap();
        assert!((0..20).all(|i| sums[i] == expected + 1000.0 * i as f64), "{sums:?}");
        let threads = client.submit(|| Config::current().unwrap().threads(), ());
        assert_eq!(threads.result().unwrap(), n_threads);
    }
}

#[test]
fn priorities_and_resources_decide_who_runs() {
    let client =
        Client::builder().threads(4).resource("gpu", 1).memory_limit("8 GB").build().unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let count = {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        move |_: &i32| {
            most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
            std::thread::yield_now();
            running.fetch_sub(1, SeqCst);
        }
    };
    for (name, quantity, n_max) in [
        ("gpu", Quantity::from(1), 1),
        ("gpu", 0.5.into(), 2),
        ("memory", "3 GB".into(), 2),
        ("memory", "8000 MB".into(), 1),
    ] {
        most.store(0, SeqCst);
        let all = client.task().resource(name, quantity).map(count.clone(), 0..100);
        client.gather(&all).unwrap();
        assert!(most.load(SeqCst) <= n_max, "{name}: {most:?}");
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let one = Client::builder().threads(1).build().unwrap();
    let gates = occupied(&one);
    let note = |i: i64| {
        let order = Arc::clone(&order);
        one.task().priority(i).submit(move || order.lock().unwrap().push(i), ())
    };
    let futures = [note(0), note(5), note(-3), note(5)];
    release(&gates);
    wait(&futures, LONG);
    futures.iter().for_each(|future| future.result().unwrap());
    assert_eq!(*order.lock().unwrap(), [5, 5, 0, -3]);
}

#[test]
fn impossible_requests_are_refused_at_once() {
    let client =
        Client::builder().threads(2).resource("gpu", 2).memory_limit("4 GB").build().unwrap();
    let line = line!() + 1;
    let error = client.task().resource("memory", "5 GB").submit(|| 1, ()).error().unwrap();
    let Error::NotEnoughResources { needed, available, .. } = &error else { panic!("{error}") };
    assert_eq!((*needed, *available), (5e9, 4e9));
    assert!(error.to_string().contains(&format!("tests.rs:{line}:")), "{error}");
    for (name, quantity) in [
        ("tpu", Quantity::from(1)),
        ("gpu", (-1).into()),
        ("gpu", "x".into()),
        ("threads", 1.into()),
    ] {
        let error = client.task().resource(name, quantity).submit(|| 1, ()).error().unwrap();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    }
    assert!(Client::builder().resource("gpu", f64::NAN).build().is_err());
    let other = Client::builder().threads(1).build().unwrap();
    let gates = occupied(&other);
    let foreign = other.submit(|| 1, ());
    let error = client.submit(|x: &i32| *x, (&foreign,)).result().unwrap_err();
    assert!(error.to_string().contains("another client"), "{error}");
    release(&gates);
}

#[test]
fn failures_name_the_task_and_can_be_replayed() {
    let client = client(2);
    let input = client.scatter(-1_i32);
    let check = |x: &i32| if *x < 0 { Err(format!("{x} is negative")) } else { Ok(*x) };
    let line = line!() + 1;
    let fails = client.task().name("check").try_submit(check, (&input,));
    let reader = client.submit(|x: &i32| x + 1, (&fails,));
    let error = reader.result().unwrap_err();
    assert!(error.to_string().starts_with("check: the task, made at "), "{error}");
    assert!(error.to_string().ends_with(" failed: -1 is negative"), "{error}");
    let task = error.failed_task().unwrap();
    assert_eq!((task.op(), task.input::<i32>(0)), ("check", Some(&-1)));
    assert_eq!(task.at().unwrap().line(), line);
    assert_eq!(task.replay().unwrap_err().to_string(), error.to_string());

    let panics = client.submit(|| -> i32 { panic!("at the disco") }, ());
    let error = panics.result().unwrap_err();
    assert!(
        matches!(&error, Error::TaskPanicked { message, .. } if message == "at the disco"),
        "{error}"
    );
    assert!(error.failed_task().unwrap().replay().is_err());
    assert_eq!(client.submit(|| 3, ()).result().unwrap(), 3);
}

#[test]
fn retries_and_retry_call_again() {
    let client = client(2);
    let n_calls = Arc::new(AtomicUsize::new(0));
    let fails_twice = |n_calls: &Arc<AtomicUsize>| {
        let n_calls = Arc::clone(n_calls);
        move || match n_calls.fetch_add(1, SeqCst) {
            0 => Err("no"),
            1 => panic!("no"),
            n => Ok(n),
        }
    };
    let patient = client.task().retries(2).try_submit(fails_twice(&n_calls), ());
    assert_eq!((patient.result().unwrap(), n_calls.load(SeqCst)), (2, 3));

    n_calls.store(0, SeqCst);
    let fails = client.task().retries(1).try_submit(fails_twice(&n_calls), ());
    let reader = client.submit(|n: &usize| n + 1, (&fails,));
    assert!(reader.result().is_err());
    reader.retry();
    assert_eq!((reader.result().unwrap(), fails.result().unwrap()), (3, 2));
    fails.retry();
    assert_eq!(n_calls.load(SeqCst), 3, "what has a value is not tried again");
}

#[test]
fn cancelled_tasks_end_at_once_and_may_be_retried() {
    let client = client(1);
    let (gate, pass) = Gate::new();
    let running = client.submit(pass, ());
    gate.wait_for_entry();
    let n_calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&n_calls);
    let waiting = client.submit(move || counter.fetch_add(1, SeqCst), ());
    let reader = client.submit(|n: &u32| n + 1, (&running,));
    waiting.cancel();
    running.cancel();
    for error in [waiting.error(), running.error(), reader.error()] {
        assert!(matches!(error, Some(Error::Cancelled)), "{error:?}");
    }
    gate.open();
    assert_eq!(client.submit(|| 1, ()).result().unwrap(), 1);
    assert_eq!(n_calls.load(SeqCst), 0);
    reader.retry();
    gate.wait_for_entry();
    gate.open();
    assert_eq!(reader.result().unwrap(), 2);
}

#[test]
fn tasks_that_nobody_wants_do_not_run_unless_detached() {
    let client = client(1);
    let gates = occupied(&client);
    let n_calls = Arc::new(AtomicUsize::new(0));
    let submit = || {
        let counter = Arc::clone(&n_calls);
        client.submit(move || counter.fetch_add(1, SeqCst), ())
    };
    drop(submit());
    submit().detach();
    let input = submit();
    let reader = client.submit(|n: &usize| n + 1, (input,));
    release(&gates);
    reader.result().unwrap();
    client.submit(|| (), ()).result().unwrap();
    assert_eq!(n_calls.load(SeqCst), 2);
}

#[test]
fn values_are_freed_with_their_last_reader() {
    let client = client(2);
    let value = Arc::new(());
    let witness = Arc::downgrade(&value);
    let scattered = client.scatter(value);
    let first = client.submit(Arc::clone, (scattered,));
    let second = client.submit(|value: &Arc<()>| Arc::strong_count(value), (first,));
    assert!(second.result().unwrap() > 0);
    drop(second);
    // The loop that ran the last task may still hold on to it for a moment.
    client.submit(|| (), ()).result().unwrap();
    while witness.strong_count() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn completed_futures_come_in_their_order() {
    let client = client(2);
    let gates = occupied(&client);
    let slow = client.task().priority(-1).submit(|| 0, ());
    let mut completed = as_completed([slow, client.scatter(1)]);
    assert_eq!(completed.next().unwrap().result().unwrap(), 1);
    assert!(completed.next_timeout(Duration::from_millis(2)).is_none());
    assert!(completed.try_next().is_none());
    completed.add(client.submit(|| -> i32 { panic!("failures come too") }, ()));
    release(&gates);
    let mut n_failed = 0;
    for future in &mut completed {
        n_failed += usize::from(future.result().is_err());
    }
    assert_eq!((n_failed, completed.len()), (1, 0));
    completed.add(client.submit(|| 7, ()));
    assert_eq!(completed.next().unwrap().result().unwrap(), 7);
}

#[test]
fn waiting_may_end_early() {
    let client = client(1);
    let (gate, pass) = Gate::new();
    let futures = [client.submit(pass, ()), client.scatter(2)];
    gate.wait_for_entry();
    let any = wait_any(&futures, None);
    assert_eq!((any.done, any.pending), (vec![1], vec![0]));
    let all = wait(&futures, Duration::from_millis(2));
    assert_eq!((all.done, all.pending), (vec![1], vec![0]));
    let error = futures[0].result_timeout(Duration::from_millis(2)).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    gate.open();
    assert_eq!(wait(&futures, None).done, [0, 1]);
    assert_eq!(futures[0].result_timeout(LONG).unwrap(), 1);
    assert_eq!(wait_any::<u32>(Vec::<Future<u32>>::new(), None), Waited::default());
}

/// Wakes the thread of a small runtime.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: StdFuture>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

#[test]
fn futures_can_be_awaited_under_any_runtime() {
    let client = client(2);
    let (gate, pass) = Gate::new();
    let slow = client.submit(pass, ());
    // The other thread of the client lets it out.
    let gate = Mutex::new(gate);
    let opener = client.submit(
        move || {
            let gate = gate.lock().unwrap();
            gate.wait_for_entry();
            gate.open();
        },
        (),
    );
    let sum = block_on(async {
        let fast = client.submit(|| 2_u32, ()).await?;
        let mut sum = fast + slow.clone().await? + slow.await?;
        let mut stream = as_completed(client.map(|n: &u32| n * 10, 1..=3_u32));
        while let Some(future) = std::future::poll_fn(|cx| pin!(&mut stream).poll_next(cx)).await {
            sum += future.await?;
        }
        Ok::<_, Error>(sum)
    });
    assert_eq!(sum.unwrap(), 64);
    opener.result().unwrap();
}

/// Many threads submit, wait, cancel and drop at once; nothing is lost and nothing hangs.
#[test]
fn many_threads_may_use_one_client() {
    let client = Client::builder().threads(3).resource("gpu", 2).build().unwrap();
    std::thread::scope(|scope| {
        for seed in 0..4_u64 {
            let client = client.clone();
            scope.spawn(move || {
                let mut futures = vec![client.scatter(seed)];
                for i in 0..400_u64 {
                    let pick = |salt: u64| (i * 7 + seed + salt) as usize % futures.len();
                    let inputs = (futures[pick(1)].clone(), futures[pick(5)].clone());
                    let task =
                        if i % 3 == 0 { client.task().resource("gpu", 1) } else { client.task() };
                    let future = task.submit(|a: &u64, b: &u64| a.wrapping_add(*b), inputs);
                    match i % 17 {
                        3 => future.cancel(),
                        5 => drop(future.result()),
                        9 => future.clone().detach(),
                        _ => {}
                    }
                    if future.error().is_none() {
                        futures.push(future);
                    }
                    if futures.len() > 40 {
                        futures.drain(..20);
                    }
                }
                assert!(client.gather(&futures).is_ok());
            });
        }
    });
}

/// What panics when it is dropped, and a waker that does when it is woken.
struct Brittle;

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

impl Wake for Brittle {
    fn wake(self: Arc<Self>) {
        // Whoever holds it last would drop it too.
        std::mem::forget(self);
        panic!("woken");
    }
}

#[test]
fn panics_of_values_and_wakers_end_no_loop() {
    let client = client(1);
    let gates = occupied(&client);
    let brittle = Brittle;
    // The closure is dropped by the loop that has called it.
    let first = client.submit(
        move || {
            let _held = &brittle;
            1
        },
        (),
    );
    let mut polled = client.task().priority(1).submit(|| 2, ());
    let waker = Waker::from(Arc::new(Brittle));
    let context = &mut Context::from_waker(&waker);
    assert!(std::pin::Pin::new(&mut polled).poll(context).is_pending());
    let watched = client.task().priority(1).submit(|| 3, ());
    let mut completed = as_completed([polled.clone(), watched]);
    assert!(std::pin::Pin::new(&mut completed).poll_next(context).is_pending());
    let others = client.map(|n: &u64| n + 1, 0..100);
    std::mem::forget(waker);
    release(&gates);
    assert_eq!(wait(&others, LONG).done.len(), 100);
    assert!(first.wait_timeout(LONG) && polled.wait_timeout(LONG));
    assert_eq!((first.result().unwrap(), polled.result().unwrap()), (1, 2));
    assert_eq!(completed.count(), 2);
}

#[test]
fn a_task_that_waits_for_itself_is_told_so() {
    let client = client(1);
    let gates = occupied(&client);
    let (send, receive) = channel::<Future<bool>>();
    let receive = Mutex::new(receive);
    let circle = client.submit(
        move || {
            let own = receive.lock().unwrap().recv_timeout(LONG).unwrap();
            own.wait();
            let is_told = matches!(own.result(), Err(Error::InvalidArgument { .. }));
            is_told && !own.wait_timeout(Duration::from_millis(1))
        },
        (),
    );
    send.send(circle.clone()).unwrap();
    release(&gates);
    assert!(circle.result_timeout(LONG).unwrap());
}

/// A task of one client waits for one of another, which waits for a third one that needs the place of the first.
#[test]
fn who_waits_for_another_client_lends_its_place() {
    let (one, other) = (client(1), client(1));
    let (inner, far) = (one.clone(), other.clone());
    let first = one.submit(
        move || {
            let inner = inner.clone();
            let second = far.submit(move || inner.submit(|| 1, ()).result().unwrap() + 1, ());
            second.result().unwrap() + 1
        },
        (),
    );
    assert_eq!(first.result_timeout(LONG).unwrap(), 3);
}

#[test]
fn who_gave_up_waiting_is_forgotten() {
    let client = client(1);
    let gates = occupied(&client);
    let slow = client.submit(|| 1, ());
    for _ in 0..1000 {
        let _waited = wait_any([&slow], Duration::ZERO);
        let mut polled = slow.clone();
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let context = &mut Context::from_waker(&waker);
        assert!(std::pin::Pin::new(&mut polled).poll(context).is_pending());
    }
    assert!(slow.held.promise.n_watchers() < 10, "{}", slow.held.promise.n_watchers());
    release(&gates);
    assert_eq!(block_on(slow).unwrap(), 1);
}

#[test]
fn threads_are_no_resource_to_be_given() {
    let error = Client::builder().threads(2).resource("threads", 9).build().unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
}

#[test]
fn the_failed_task_is_the_innermost() {
    let client = client(1);
    let x = crate::delayed(|n: &i32| -> i32 { panic!("no {n}") }, (7,));
    let error = client.compute(x).result().unwrap_err();
    let task = error.failed_task().unwrap();
    assert!(task.op().contains("the_failed_task_is"), "{}", task.op());
}
