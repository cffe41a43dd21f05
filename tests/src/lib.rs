//! End-to-end stories, and the World in which they happen: real servers on loopback, our programs as a user runs
//! them, foreign tools as judges. No story reaches into our crates: it sees what a
//! user sees. Only `bin/bench/` and `bin/vpcd-card.rs` use them as libraries.
//!
//! | file | what it is |
//! |---|---|
//! | `world` | one temporary folder with a desk, people and servers; the people have homes of their own |
//! | `desk` | the issuance desk: `issuer` with its home, registry and published folder |
//! | `mail` | a person's mail program: `mailer` with the person's home |
//! | `card` | card state files, and cards inserted into a reader by `card-sim run` |
//! | `at_reader` | one blank card in a real reader, for other people's programs alone |
//! | `pkcs11_tool` | pkcs11-tool with any module, judged by OpenSSL |
//! | `namespace` | a server in namespaces of its own, all of whose processes end with it |
//! | `pcscd` | a real pcscd with vpcd readers in namespaces of its own |
//! | `pkcs11` | our PKCS#11 module as foreign programs load it |
//! | `postfix`, `dovecot` | real mail servers on free loopback ports |
//! | `relay` | a TCP relay that records what passes: the wire-tapper |
//! | `sshd` | a real sshd on a free loopback port |
//! | `openssl` | keys, requests, verification and `cms` by the OpenSSL program |
//! | `paper` | one-page PDF files |
//! | `desktop` | a display that nobody sees, for programs with windows |
//! | `disk` | search of files for plaintext and secrets |
//! | `postgres` | a PostgreSQL server on a socket |
//! | `process` | running a program to its end, keeping a server until it is dropped, waiting for a condition |
//! | `programs` | where our binaries are; builds them once where no script did |
//! | `ports` | free loopback ports |
//! | `privilege` | what needs root says so: skipped elsewhere, failed in CI |
//!
//! `tests/*.rs` are the stories, one sentence each; `bin/demo.rs` shows the whole circle; `bin/bench/` measures.

pub mod at_reader;
pub mod card;
pub mod desk;
pub mod desktop;
pub mod disk;
pub mod dovecot;
pub mod foreign_card;
pub mod mail;
pub mod measure;
pub mod namespace;
pub mod openssl;
pub mod paper;
pub mod pcscd;
pub mod pkcs11;
pub mod pkcs11_tool;
pub mod ports;
pub mod postfix;
pub mod postgres;
pub mod privilege;
pub mod process;
pub mod programs;
pub mod relay;
pub mod show;
pub mod sshd;
pub mod world;
