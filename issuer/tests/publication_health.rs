//! What `/health` says of a published directory at a time, to the second.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod serve_support;
#[path = "desk_support/server.rs"]
mod server;
mod support;

use issuer::publication::{Service, serve};
use serve_support::Published;
use server::Answer;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// A clock that stands still.
struct Still(jiff::Timestamp);

impl issuer::clock::Clock for Still {
    fn now(&self) -> jiff::Timestamp {
        self.0
    }
}

fn health(published: &Published, at: jiff::Timestamp) -> (u16, serde_json::Value) {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let service = Service { clock: Box::new(Still(at)), ..Service::of(published.path("")) };
    let server = runtime.spawn(serve(listener, service, async {
        let _ = stopped.await;
    }));
    let answer = Answer::of(&url, &[]);
    stop.send(()).unwrap();
    runtime.block_on(server).unwrap().unwrap();
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

#[test]
fn health_is_lost_when_a_crl_has_expired() {
    let published = Published::new();
    let (status, said) = health(&published, published.world.now);
    assert_eq!((status, &said["status"]), (200, &"ok".into()), "{said}");
    let ends = said["crls"].as_array().unwrap().iter().map(|crl| crl["next_update"].as_str().unwrap());
    let first: jiff::Timestamp = ends.min().unwrap().parse().unwrap();
    let (status, said) = health(&published, first);
    assert_eq!((status, &said["status"]), (503, &"expired".into()), "{said}");
    assert!(!said["expired"].as_array().unwrap().is_empty());
    std::fs::remove_dir_all(published.path("crl")).unwrap();
    let (status, gone) = health(&published, published.world.now);
    assert_eq!((status, &gone["status"]), (503, &"missing".into()), "{gone}");
    assert_eq!(gone["missing"].as_array().unwrap().len(), said["crls"].as_array().unwrap().len());
    // Where no CRL was published at all, none is missed.
    std::fs::write(published.path(".revision"), "1\n").unwrap();
    std::fs::remove_file(published.path("crl.pem")).unwrap();
    assert_eq!(health(&published, published.world.now).1["missing"], serde_json::json!(["crl.pem"]));
    std::fs::remove_file(published.path(".revision")).unwrap();
    assert_eq!(health(&published, published.world.now).1["status"], "unpublished");
}

/// Until readers refuse it, a CRL that nobody signs anew looks good; a monitor is told before.
#[test]
fn health_is_lost_when_the_next_crls_are_overdue_and_before_their_time() {
    let published = Published::new();
    let (status, said) = health(&published, published.world.now);
    assert_eq!((status, &said["overdue"]), (200, &serde_json::json!([])), "{said}");
    let times = |name: &str| {
        let times = said["crls"].as_array().unwrap().iter().map(|crl| crl[name].as_str().unwrap());
        times.map(|time| time.parse::<jiff::Timestamp>().unwrap()).min().unwrap()
    };
    let (overdue_at, end) = (times("overdue_at"), times("next_update"));
    // The last quarter of a week.
    assert_eq!(end.duration_since(overdue_at), jiff::SignedDuration::from_hours(42));
    let second = jiff::SignedDuration::from_secs(1);
    assert_eq!(health(&published, overdue_at - second).0, 200);
    let (status, said) = health(&published, overdue_at);
    assert_eq!((status, &said["status"]), (503, &"overdue".into()), "{said}");
    assert_eq!(said["overdue"].as_array().unwrap().len(), 3, "{said}");
    assert_eq!(health(&published, end).1["status"], "expired");
    // Made by a clock that was ahead: openssl calls it not yet valid.
    let minute = jiff::SignedDuration::from_mins(1);
    assert_eq!(health(&published, published.world.now - minute * 5).0, 200);
    let (status, said) = health(&published, published.world.now - minute * 6);
    assert_eq!((status, &said["status"]), (503, &"early".into()), "{said}");
    assert_eq!(said["early"].as_array().unwrap().len(), 3, "{said}");
}

/// A directory that was copied in part, and the rest never came.
#[test]
fn what_is_not_as_published_is_told_when_it_had_time_to_come_and_so_is_what_never_ended() {
    let mut published = Published::new();
    let old: Vec<_> = ["crl.pem", "anchor.pem"].map(|name| published.path(name)).into();
    let contents: Vec<_> = old.iter().map(|file| std::fs::read(file).unwrap()).collect();
    published.crls[1] = published.world.crl(2, &[]);
    published.publish();
    let revision = published.path(".revision");
    let newest = std::fs::read(&revision).unwrap();
    std::fs::write(&old[0], &contents[0]).unwrap();
    std::fs::remove_file(&old[1]).unwrap();
    std::fs::write(&revision, &newest).unwrap();
    let later = published.world.now + jiff::SignedDuration::from_hours(2);
    let (status, said) = health(&published, later);
    assert_eq!((status, &said["status"]), (503, &"missing".into()), "{said}");
    assert_eq!(said["missing"], serde_json::json!(["anchor.pem"]));
    assert_eq!(said["differing"], serde_json::json!(["crl.pem"]));
    // While something is published, nothing is compared; but that comes to an end.
    std::fs::remove_file(&revision).unwrap();
    assert_eq!(health(&published, published.world.now).0, 200);
    let (status, said) = health(&published, later + jiff::SignedDuration::from_hours(1));
    assert_eq!((status, &said["status"]), (503, &"unfinished".into()), "{said}");
    // Of a copy without what begins with a dot nobody expects it.
    std::fs::remove_file(published.path(".lock")).unwrap();
    assert_eq!(health(&published, later + jiff::SignedDuration::from_hours(1)).0, 200);
}
