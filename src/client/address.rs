//! Addresses of the clients of this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Inner;

/// The clients that there are, by number, and the number of the next one.
static CLIENTS: Mutex<(BTreeMap<u64, Weak<Inner>>, u64)> = Mutex::new((BTreeMap::new(), 1));

/// The number of a client, under which it is found until this is dropped.
pub(super) struct Place(u64);

impl Place {
    pub(super) fn address(&self) -> String {
        format!("inproc://{}/{}", std::process::id(), self.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        clients().0.remove(&self.0);
    }
}

fn clients() -> MutexGuard<'static, (BTreeMap<u64, Weak<Inner>>, u64)> {
    CLIENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a client that is found under its address.
pub(super) fn settle(client: impl FnOnce(Place) -> Inner) -> Arc<Inner> {
    let mut clients = clients();
    let number = clients.1;
    clients.1 += 1;
    let client = Arc::new(client(Place(number)));
    clients.0.insert(number, Arc::downgrade(&client));
    client
}

/// The client with this address.
pub(super) fn find(address: &str) -> Option<Arc<Inner>> {
    let (process, number) = address.strip_prefix("inproc://")?.split_once('/')?;
    let is_here = process.parse() == Ok(std::process::id());
    let number: u64 = number.parse().ok().filter(|_| is_here)?;
    clients().0.get(&number)?.upgrade()
}

#[cfg(test)]
mod tests {
    use crate::{Client, Error};

    #[test]
    fn a_client_is_found_under_its_address_as_long_as_there_is_one() {
        let client = Client::builder().threads(1).resource("gpu", 1).build().unwrap();
        let address = client.address();
        assert!(address.starts_with(&format!("inproc://{}/", std::process::id())), "{address}");
        let same = Client::connect(&address).unwrap();
        assert_eq!(same.address(), address);
        drop(client);
        // Its futures and resources are those of the other handle.
        let x = same.scatter(20);
        let y = Client::connect(&address)
            .unwrap()
            .task()
            .resource("gpu", 1)
            .submit(|x: &i32| x + 1, (&x,));
        assert_eq!(y.result().unwrap(), 21);
        let other = Client::builder().threads(1).build().unwrap();
        assert_ne!(other.address(), address);
        drop(same);
        let parent = format!("inproc://{}/1", std::process::id() + 1);
        for unknown in
            [address.as_str(), &parent, "inproc://", "tcp://127.0.0.1:8786", "inproc://1"]
        {
            let error = Client::connect(unknown).unwrap_err();
            assert!(matches!(&error, Error::InvalidArgument { argument: "address", .. }));
            assert!(error.to_string().contains(unknown), "{error}");
        }
    }
}
