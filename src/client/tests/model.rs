//! Clients under a model checker, which tries many schedules: no task is forgotten, and no thread waits without end.

use super::*;

/// Calls `f` in so many schedules of two kinds. A thread that nobody would ever wake fails.
fn check(n: usize, f: impl Fn() + Copy + Send + Sync + 'static) {
    let config = || {
        let mut config = shuttle::Config::new();
        // Tasks that wait run others on their stacks.
        config.stack_size = 1 << 18;
        config
    };
    let random = shuttle::scheduler::RandomScheduler::new(n);
    shuttle::Runner::new(random, config()).run(f);
    // Few changes between threads, where those hurt most.
    let pct = shuttle::scheduler::PctScheduler::new(3, n);
    shuttle::Runner::new(pct, config()).run(f);
}

/// Lets others go first, now and then.
fn give_way() {
    shuttle::thread::yield_now();
}

/// What the other tests find, they would find.
#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_up_that_is_lost_is_seen() {
    sync::LOSES_WAKE_UPS.set(true);
    check(100, || client(1).submit(give_way, ()).result().unwrap());
}

#[test]
fn every_schedule_runs_what_several_threads_submit() {
    check(100, || {
        let client = client(2);
        let other = client.clone();
        let elsewhere = shuttle::thread::spawn(move || {
            let a = other.submit(|| 1, ());
            other.submit(|a: &i32| a + 1, (a,)).result().unwrap()
        });
        let double = |x: &i32| {
            give_way();
            2 * x
        };
        let all = client.map(double, 0..3);
        let sum = client.submit(|all: &Vec<i32>| all.iter().sum::<i32>(), (&all,));
        assert_eq!((sum.result().unwrap(), elsewhere.join().unwrap()), (6, 2));
    });
}

#[test]
fn every_schedule_ends_while_tasks_wait_for_tasks() {
    for n_threads in [1, 2] {
        check(100, move || {
            let client = client(n_threads);
            let inner = client.clone();
            let outer = client.submit(
                move || {
                    let parts = inner.map(|x: &i32| x + 1, 0..2);
                    give_way();
                    // The last one first, so that the other one is waited for where it runs.
                    parts[1].result().unwrap() + parts[0].result().unwrap()
                },
                (),
            );
            let waits = outer.clone();
            let waiting = client.submit(move || waits.result().unwrap(), ());
            assert_eq!((waiting.result().unwrap(), outer.result().unwrap()), (3, 3));
        });
    }
}

#[test]
fn every_schedule_gives_resources_back_to_who_waits() {
    check(100, || {
        let client = Client::builder().threads(2).resource("gpu", 1).build().unwrap();
        let inner = client.clone();
        // Both need the only one, and each lends it while it waits.
        let holds = move |n: &i32| {
            let part = inner.task().resource("gpu", 1).submit(|n: &i32| n * 10, (*n,));
            part.result().unwrap() + 1
        };
        let all = client.task().resource("gpu", 1).map(holds, 1..=2);
        assert_eq!(client.gather(&all).unwrap(), [11, 21]);
    });
}

#[test]
fn every_schedule_ends_after_cancellations_and_retries() {
    check(100, || {
        let client = client(2);
        let n_calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&n_calls);
        let first = client.submit(
            move || {
                give_way();
                counter.fetch_add(1, SeqCst)
            },
            (),
        );
        let reader = client.submit(|n: &usize| n + 1, (&first,));
        let cancels = first.clone();
        let canceller = shuttle::thread::spawn(move || cancels.cancel());
        let early = reader.result();
        assert!(matches!(early, Ok(1) | Err(Error::Cancelled)), "{early:?}");
        canceller.join().unwrap();
        reader.retry();
        assert!(reader.result().is_ok(), "what was cancelled runs once more");
        assert!((1..=2).contains(&n_calls.load(SeqCst)));
    });
}

#[test]
fn every_schedule_gives_out_all_that_is_completed() {
    check(100, || {
        let client = client(2);
        let plus = |x: &i32| {
            give_way();
            x + 1
        };
        let mut completed = as_completed(client.map(plus, [0, 10]));
        let mut found = Vec::new();
        while let Some(future) = completed.next() {
            let x = future.result().unwrap();
            found.push(x);
            if x < 3 {
                completed.add(client.submit(plus, (x,)));
            }
        }
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3, 11]);
    });
}

#[test]
fn every_schedule_wakes_who_awaits() {
    check(100, || {
        let client = client(1);
        let gate = client.submit(give_way, ());
        let sum = shuttle::future::block_on(async {
            gate.await?;
            let parts = client.map(|x: &i32| x + 1, 0..2);
            let mut stream = as_completed(parts);
            let mut sum = 0;
            while let Some(future) =
                std::future::poll_fn(|cx| pin!(&mut stream).poll_next(cx)).await
            {
                sum += future.await?;
            }
            Ok::<_, Error>(sum)
        });
        assert_eq!(sum.unwrap(), 3);
    });
}

#[test]
fn every_schedule_forgets_what_nobody_wants() {
    check(100, || {
        let client = client(1);
        let held = Arc::new(());
        let value = Arc::clone(&held);
        let dropped = client.submit(move || drop(Arc::clone(&value)), ());
        let kept = client.submit(|| 5, ());
        let dropper = shuttle::thread::spawn(move || drop(dropped));
        assert_eq!(kept.result().unwrap(), 5);
        dropper.join().unwrap();
        // Its loop may hold on to a task for a moment, but no longer than until it ends.
        drop((kept, client));
        while Arc::strong_count(&held) > 1 {
            give_way();
        }
    });
}
