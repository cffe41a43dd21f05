"""Drives a real Thunderbird through its remote protocol (Marionette) with a card behind a PKCS#11 module.

Usage: thunderbird.py SETTINGS.json. The settings name the profile folder, the module, the account, the certificates to
trust and what to do; standard output is one JSON object that says what was seen.
"""

import base64
import json
import pathlib
import subprocess
import sys
import time

from marionette_driver.marionette import Alert, Marionette

PATIENCE_SECONDS = 120

PREFERENCES = {
    "mail.accountmanager.accounts": "account1",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.server.server1.type": "imap",
    "mail.server.server1.socketType": 2,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    "mail.identity.id1.smtpServer": "smtp1",
    "mail.identity.id1.valid": True,
    "mail.identity.id1.fcc": False,
    "mail.smtpservers": "smtp1",
    "mail.smtpserver.smtp1.try_ssl": 2,
    "mail.smtpserver.smtp1.authMethod": 3,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.spotlight.firstRunDone": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "security.OCSP.enabled": 0,
    "app.update.auto": False,
    "mailnews.start_page.enabled": False,
}

# A prompter that types the PIN and counts how often it was asked; NSS looks it up by its contract.
PROMPTER = """
  globalThis.asked = 0;
  const pin = arguments[0];
  const prompter = {
    QueryInterface: ChromeUtils.generateQI(["nsIPrompt", "nsIAuthPrompt", "nsIAuthPrompt2", "nsIPromptFactory"]),
    getPrompt() { return prompter; },
    promptPassword(...given) {
      globalThis.asked += 1;
      const field = given.find(one => one && typeof one == "object");
      if (field) { field.value = pin; }
      return true;
    },
    alert() {}, alertCheck() {}, confirm() { return true; }, confirmEx() { return 0; }, prompt() { return false; },
  };
  Components.manager.QueryInterface(Ci.nsIComponentRegistrar).registerFactory(
    Components.ID("{5f0c6a5e-9d0e-4b86-8a4a-6f9a1f3f2c10}"), "prompter of the story", "@mozilla.org/prompter;1",
    { createInstance: iid => prompter.QueryInterface(iid), QueryInterface: ChromeUtils.generateQI(["nsIFactory"]) });
  return true;
"""

MODULE = """
  const modules = Cc["@mozilla.org/security/pkcs11moduledb;1"].getService(Ci.nsIPKCS11ModuleDB);
  await modules.addModule("Sealwright", arguments[0], 0, 0);
  const loaded = (await modules.listModules()).find(one => one.name == "Sealwright");
  return Array.from(loaded.slots).filter(slot => slot.tokenName).map(slot => slot.tokenName);
"""

CERTIFICATES = """
  const [anchors, chain, people] = arguments;
  const database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  // The chain holds the anchor too, and the last trust given counts.
  for (const link of chain) { database.addCertFromBase64(link, ",,"); }
  for (const anchor of anchors) { database.addCertFromBase64(anchor, "CT,CT,CT"); }
  for (const person of people) {
    const bytes = Uint8Array.from(atob(person), one => one.charCodeAt(0));
    database.importEmailCertificate(bytes, bytes.length, null);
  }
  return database.getCerts().map(one => ({
    subject: one.subjectName, token: one.tokenName, key: one.dbKey, name: one.displayName,
    emails: one.getEmailAddresses(), usage: null, serial: one.serialNumber }));
"""

ACCOUNT = """
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const [user, password, host, signing, encryption] = arguments;
  for (const scheme of ["imap", "smtp"]) {
    const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
    login.init(`${scheme}://${host}`, null, `${scheme}://${host}`, user, password, "", "");
    await Services.logins.addLoginAsync(login);
  }
  const identity = MailServices.accounts.accounts[0].defaultIdentity;
  identity.setUnicharAttribute("signing_cert_name", signing.name);
  identity.setCharAttribute("signing_cert_dbkey", signing.key);
  identity.setUnicharAttribute("encryption_cert_name", encryption.name);
  identity.setCharAttribute("encryption_cert_dbkey", encryption.key);
  return identity.email;
"""

SEND = """
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const [to, subject, body, keys] = arguments;
  const account = MailServices.accounts.accounts[0], identity = account.defaultIdentity;
  const secure = Cc["@mozilla.org/messengercompose/composesecure;1"].createInstance(Ci.nsIMsgComposeSecure);
  secure.signMessage = true;
  secure.requireEncryptMessage = true;
  for (const [address, key] of Object.entries(keys)) { secure.cacheValidCertForEmail(address, key); }
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  Object.assign(fields, { from: `${identity.fullName} <${identity.email}>`, to, subject, composeSecure: secure });
  return await new Promise(resolve => {
    const listener = {
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]),
      onStartSending() {}, onProgress() {}, onStatus() {}, onSendNotPerformed() { resolve("not performed"); },
      onGetDraftFolderURI() {}, onTransportSecurityError(id, status) { resolve("transport security " + status); },
      onStopSending(id, status, message) { resolve(status == 0 ? "sent" : `failed ${status} ${message}`); },
    };
    Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend).createAndSendMessage(
      null, identity, account.key, fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null, "text/plain",
      body, null, null, listener, "", null, Ci.nsIMsgCompType.New);
  });
"""

EXPAND = """
  const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  globalThis.server = MailServices.accounts.accounts[0].incomingServer;
  server.performExpand(null);
"""

OPEN = """
  // The inbox of the profile gives way to the server's at some time: show whichever is there, which fetches its mail.
  const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
  if (inbox && Date.now() > (globalThis.next ?? 0)) {
    globalThis.next = Date.now() + 3000;
    Services.wm.getMostRecentWindow("mail:3pane").document.getElementById("tabmail").currentAbout3Pane.displayFolder(inbox);
    inbox.getNewMessages(null, null);
  }
  const headers = inbox ? [...inbox.messages] : [];
  if (!headers.length) { return false; }
  const { MailUtils } = ChromeUtils.importESModule("resource:///modules/MailUtils.sys.mjs");
  MailUtils.displayMessageInFolderTab(headers[headers.length - 1]);
  return true;
"""

SHOWN = """
  const tabs = Services.wm.getMostRecentWindow("mail:3pane").document.getElementById("tabmail");
  const message = tabs.currentAboutMessage;
  const body = message?.getMessagePaneBrowser()?.contentDocument?.body?.textContent;
  const icon = id => message?.document.getElementById(id)?.getAttribute("src");
  return { body, encrypted: icon("encryptedHdrIcon"), signed: icon("signedHdrIcon"), asked: globalThis.asked };
"""


def main():
    settings = json.loads(pathlib.Path(sys.argv[1]).read_text())
    profile = pathlib.Path(settings["profile"])
    write_profile(profile, settings)
    command = ["thunderbird", "--profile", str(profile), "--no-remote", "--marionette", "--remote-allow-system-access"]
    with open(settings["log"], "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as program:
        try:
            print(json.dumps(Story(settings).play()))
        finally:
            program.terminate()


def write_profile(profile, settings):
    """Thunderbird's preferences for one account."""
    profile.mkdir()
    own = {
        "marionette.port": settings["marionette_port"],
        "mail.server.server1.hostname": settings["host"],
        "mail.server.server1.name": settings["address"],
        "mail.server.server1.port": settings["imap_port"],
        "mail.server.server1.userName": settings["address"],
        "mail.server.server1.directory": str(profile / "imap"),
        "mail.identity.id1.useremail": settings["address"],
        "mail.identity.id1.fullName": settings["name"],
        "mail.smtpserver.smtp1.hostname": settings["host"],
        "mail.smtpserver.smtp1.port": settings["smtp_port"],
        "mail.smtpserver.smtp1.username": settings["address"],
    }
    lines = (f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in (PREFERENCES | own).items())
    (profile / "user.js").write_text("".join(lines))


class Story:
    """One session with the program."""

    def __init__(self, settings):
        self.settings = settings
        self.remote = Marionette("127.0.0.1", port=settings["marionette_port"])
        self.remote.raise_for_port(timeout=60)
        self.remote.start_session({"unhandledPromptBehavior": "ignore"})
        self.remote.set_context("chrome")
        self.remote.timeout.script = PATIENCE_SECONDS

    def play(self):
        settings = self.settings
        self.run(PROMPTER, [settings["pin"]])
        tokens = self.run(MODULE, [settings["module"]])
        certificates = self.run(
            CERTIFICATES, [base64_of(settings["anchors"]), base64_of(settings["chain"]), base64_of(settings["people"])]
        )
        own = [one for one in certificates if one["token"] in tokens]
        by_serial = {one["serial"].replace(":", "").lower().lstrip("0"): one for one in own}
        signing, encryption = (by_serial[serial] for serial in (settings["signing"], settings["encryption"]))
        self.run(ACCOUNT, [settings["address"], settings["password"], settings["host"], signing, encryption])
        correspondent = settings["correspondent"]
        theirs = next(one for one in certificates if correspondent in one["emails"] and one["token"] not in tokens)
        keys = {correspondent: theirs["key"], settings["address"]: encryption["key"]}
        sent = self.run(SEND, [correspondent, settings["subject"], settings["body"], keys])
        asked_to_send = self.run("return globalThis.asked;")
        shown = self.read()
        self.picture()
        return {"tokens": tokens, "own": own, "sent": sent, "asked_to_send": asked_to_send, "shown": shown}

    def read(self):
        """Opens the newest message of the inbox and waits until its text is there."""
        self.run(EXPAND)
        self.until(lambda: self.run(OPEN))
        return self.until(lambda: self.expected(self.run(SHOWN)))

    def expected(self, shown):
        return shown if self.settings["expected"] in (shown["body"] or "") else None

    def until(self, condition):
        """Asks until the answer is not empty."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
        self.picture()
        raise SystemExit(f"waited in vain; last seen: {self.run(SHOWN)}")

    def picture(self):
        """Everything on the display, dialogs too."""
        subprocess.run(["import", "-window", "root", self.settings["picture"]], check=True)

    def run(self, script, arguments=()):
        """A script in the program; its errors come back as text."""
        wrapped = f"""
          const [args, done] = [Array.from(arguments).slice(0, -1), arguments[arguments.length - 1]];
          (async function() {{ {script} }}).apply(null, args)
            .then(value => done({{ value }}), error => done({{ error: `${{error}} ${{error.stack}}` }}));
        """
        answer = self.remote.execute_async_script(wrapped, script_args=list(arguments), sandbox="system", new_sandbox=False)
        if answer is None:
            # A window that waits for somebody ended the script.
            self.picture()
            raise SystemExit(f"a dialog opened: {Alert(self.remote).text!r}")
        if "error" in answer:
            raise SystemExit(f"the program says: {answer['error']}")
        return answer.get("value")


def base64_of(files):
    """DER files in base64."""
    return [base64.b64encode(pathlib.Path(file).read_bytes()).decode() for file in files]


if __name__ == "__main__":
    main()
