//! A clock that was put back, and one that runs out of the certificate's validity, give no stamps.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod desk_support;
mod time_stamp_support;

use std::sync::{Arc, Mutex};

use desk_support::{Desk, run};
use getrandom::SysRng;
use issuer::clock::{Clock, SystemClock};
use issuer::time_stamp::serial_log::{Entry, SerialLog};
use issuer::time_stamp::{Folder, Service as TimeStampService, serve};
use jiff::{SignedDuration, Timestamp};
use middleware::DigestAlgorithm;
use rand_core::UnwrapErr;
use time_stamp_support::*;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A clock that somebody sets.
#[derive(Clone)]
struct Watch(Arc<Mutex<Timestamp>>);

impl Watch {
    fn set(&self, time: Timestamp) {
        *self.0.lock().unwrap() = time;
    }
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Serves from the desk's folder with this clock while `story` asks.
fn with_clock(desk: &Desk, watch: &Watch, story: impl FnOnce(&Client<'_>)) {
    let folder = Folder::new(desk.home().join("tsa"));
    let service = TimeStampService::open(
        &folder,
        SERVICE_PASSPHRASE,
        1,
        Box::new(watch.clone()),
        Box::new(UnwrapErr(SysRng)),
    )
    .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = runtime.spawn(serve(listener, service, async move {
        let _ = stopped.await;
    }));
    story(&Client::new(desk, &url));
    stop.send(()).unwrap();
    runtime.block_on(server).unwrap().unwrap();
}

fn begin() -> Timestamp {
    // A time that openssl, which looks at the real clock, finds within the certificate's validity.
    SystemClock.now() + SignedDuration::from_secs(3)
}

const NO_TIME: &str = "the TSA's time source is not available";

#[test]
fn a_clock_that_was_put_back_gives_no_stamps_also_after_a_restart() {
    let desk = desk_with_service(&[]);
    let now = begin();
    let watch = Watch(Arc::new(Mutex::new(now)));
    let seconds = |count| SignedDuration::from_secs(count);
    with_clock(&desk, &watch, |client| {
        client.stamp(&["-sha256"]);
        watch.set(now + seconds(3600));
        client.stamp(&["-sha256"]);
        watch.set(now + seconds(3000));
        client.query(&["-sha256"]);
        client.assert_refused(NO_TIME);
        assert!(client.shown().contains("behind the newest stamp"));
    });
    with_clock(&desk, &watch, |client| {
        client.query(&["-sha256"]);
        client.assert_refused(NO_TIME);
        // A minute is let by: clocks are put right by seconds.
        watch.set(now + seconds(3541));
        client.stamp(&["-sha256"]);
        watch.set(now + seconds(3602));
        client.stamp(&["-sha256"]);
    });
}

#[test]
fn outside_the_certificates_validity_there_are_no_stamps() {
    let desk = desk_with_service(&[]);
    let certificate = Folder::new(desk.home().join("tsa")).certificate().unwrap();
    let watch = Watch(Arc::new(Mutex::new(begin())));
    with_clock(&desk, &watch, |client| {
        watch.set(certificate.not_before() - SignedDuration::from_secs(1));
        client.query(&["-sha256"]);
        client.assert_refused(NO_TIME);
        watch.set(certificate.not_after());
        assert_eq!(client.post(), "200");
        assert!(client.shown().contains("Granted."));
        watch.set(certificate.not_after() + SignedDuration::from_secs(1));
        client.assert_refused(NO_TIME);
    });
}

/// The program itself, with the computer's clock and a log that is ahead of it.
#[test]
fn the_program_gives_no_stamps_before_the_newest_of_its_log() {
    let desk = desk_with_service(&[]);
    let folder = Folder::new(desk.home().join("tsa"));
    let log = SerialLog::open(&folder.log_file(), &folder.certificate().unwrap()).unwrap();
    let ahead = Entry {
        serial_number: "4a".parse().unwrap(),
        time: "2999-01-02T03:04:05Z".parse().unwrap(),
        algorithm: DigestAlgorithm::Sha256,
        imprint: vec![1; 32],
        policy: folder.settings().unwrap().policy,
    };
    drop(log.append::<()>(|_| Ok(ahead)).map(|_| ()));
    drop(log);
    let service = Service::start(&desk);
    let client = Client::new(&desk, &service.url);
    client.query(&["-sha256"]);
    client.assert_refused(NO_TIME);
}

/// `issuer tsa init` signs nothing before what was signed.
#[test]
fn a_service_is_not_made_by_a_clock_that_was_put_back() {
    let desk = Desk::new();
    write_passphrase(&desk);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = issuer::registry::RegistryUrl::Sqlite(desk.home().join("registry.db"));
    runtime.block_on(async {
        let registry =
            issuer::registry::Registry::open(&url, issuer::domain::Actor::unrecorded()).await.unwrap();
        let at: Timestamp = "2999-01-02T03:04:05Z".parse().unwrap();
        registry
            .reserve_crl_number(issuer::domain::AuthorityName::Root, at, at + SignedDuration::from_hours(24))
            .await
            .unwrap();
        registry.close().await;
    });
    run(&mut desk.command(&["tsa", "init", "--service-passphrase-file", "service-passphrase"]))
        .refuses(1, &["newest CRL", "set the clock right"]);
    assert!(!desk.home().join("tsa").exists() && !desk.home().join("keys/documents.pem").exists());
}
