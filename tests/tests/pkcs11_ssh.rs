//! OpenSSH's client and agent log in with a card through our PKCS#11 module.

use std::fs;

use anyhow::Result;
use rustix::process::Signal;
use sealwright_tests::pkcs11::Clients;
use sealwright_tests::ports::free_port;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

#[test]
fn ssh_and_its_agent_log_in_with_a_p256_card() -> Result<()> {
    ssh_and_its_agent_log_in("p256")
}

#[test]
fn ssh_and_its_agent_log_in_with_an_rsa_card() -> Result<()> {
    ssh_and_its_agent_log_in("rsa2048")
}

fn ssh_and_its_agent_log_in(algorithm: &str) -> Result<()> {
    let Some(root) = Root::or_skip("pcscd in a private namespace")? else { return Ok(()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", algorithm)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    let ask = clients.asking_program(&alice.pin)?;
    let asking = |run: Run| run.env("SSH_ASKPASS", &ask).env("SSH_ASKPASS_REQUIRE", "force");

    // Public keys need no PIN. The server trusts the one for authentication only.
    let listed = clients.run("ssh-keygen").arg("-D").arg(clients.module()).ok()?;
    assert_eq!(listed.out().lines().count(), 4, "{listed}");
    let of_9a = listed.out();
    let of_9a = of_9a.lines().find(|line| line.contains("PIV Authentication")).unwrap_or_default();
    fs::write(clients.path("authorized"), format!("{of_9a}\n"))?;
    let host_key = ["-q", "-t", "ed25519", "-N", "", "-f", "host_key"];
    clients.run("ssh-keygen").args(host_key).ok()?;
    let port = free_port()?;
    let folder = clients.path("");
    let folder = folder.display();
    fs::write(
        clients.path("sshd.conf"),
        format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile {folder}/sshd.pid\n\
             AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        ),
    )?;
    fs::create_dir_all("/run/sshd")?;
    let mut server = Run::new("/usr/sbin/sshd").args(["-D", "-e", "-f"]).arg(clients.path("sshd.conf"));
    server = server.folder(&clients.path(""));
    let mut server = server.serve(&clients.path("sshd.log"))?;
    let log = clients.path("sshd.log");
    server.wait_until("sshd listens", || Ok(fs::read_to_string(&log)?.contains("Server listening")))?;

    let port = port.to_string();
    let ssh = || {
        let ssh =
            clients.run("setsid").args(["ssh", "-F", "none", "-p", &port, "-o", "StrictHostKeyChecking=no"]);
        ssh.arg("-o").arg(format!("UserKnownHostsFile={folder}/known"))
    };
    let logged_in =
        asking(ssh().arg("-I").arg(clients.module())).args(["root@127.0.0.1", "echo by the card"]).ok()?;
    assert_eq!(logged_in.out().trim(), "by the card");

    // The agent takes providers that it was told to allow, and no others.
    let socket = clients.path("agent");
    let agent_with = |allowed: &str| {
        let agent = clients.run("ssh-agent").args(["-D", "-P", allowed, "-a"]).arg(&socket);
        agent.serve(&clients.path("agent.log"))
    };
    let add = || {
        asking(clients.run("setsid").args(["ssh-add", "-s"]).arg(clients.module()))
            .env("SSH_AUTH_SOCK", &socket)
    };
    let mut strict = agent_with("/usr/lib/*")?;
    strict.wait_until("the agent listens", || Ok(socket.exists()))?;
    add().fails_with(1)?;
    strict.stop(Signal::TERM)?;
    let mut agent = agent_with(&clients.module().display().to_string())?;
    agent.wait_until("the agent listens", || Ok(socket.exists()))?;
    add().ok()?;
    let known = clients.run("ssh-add").arg("-l").env("SSH_AUTH_SOCK", &socket).ok()?;
    assert_eq!(known.out().lines().count(), 4, "{known}");
    let logged_in = ssh().env("SSH_AUTH_SOCK", &socket).args(["root@127.0.0.1", "echo by the agent"]).ok()?;
    assert_eq!(logged_in.out().trim(), "by the agent");
    let removed =
        clients.run("ssh-add").arg("-e").arg(clients.module()).env("SSH_AUTH_SOCK", &socket).ok()?;
    assert!(removed.text().contains("Card removed"), "{removed}");
    agent.stop(Signal::TERM)?;
    server.stop(Signal::TERM)?;
    Ok(())
}
