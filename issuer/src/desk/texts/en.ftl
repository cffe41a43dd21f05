# The desk in English. Every key stands in zh.ftl too, with the same placeables.

# States of cards
state-unknown = unknown
state-in-stock = in stock
state-unusable = unusable
state-being-personalised = being personalised
state-awaiting-activation = awaiting activation
state-active = active
state-pin-blocked = PIN blocked
state-on-hold = on hold
state-lost = lost
state-stolen = stolen
state-damaged = damaged
state-replaced = replaced
state-revoked = revoked
state-returned = returned
state-destroyed = destroyed

# What can be done with a card
way-receive = take it into stock again, once it is reset
way-receive-file = take it into stock again with its right stock file
way-personalise = make it somebody's card
way-personalise-again = go on making it
way-abandon = give it up half-made: what was certified is revoked, the card goes back to stock
way-activate = record that the holder has changed the transport PIN
way-block-pin = record that its PIN is blocked
way-unblock-pin = set its PIN anew
way-hold = put it on hold; that can be undone
way-release = release it from hold: everything is as before
way-report-loss = report it lost or stolen; its certificates are revoked for good
way-report-damage = report it damaged; its certificates are revoked for good
way-replace = put another card in its place
way-revoke = revoke it for good
way-return = take it back; its certificates stay or become revoked, and wiped it can be anybody's
way-return-for-good = take it back; its certificates stay or become revoked; a card of this kind cannot be wiped
way-restock = wipe it and put it into stock again: that is verified
way-destroy = record that it is destroyed; that cannot be undone
way-renew = give it new certificates for the same keys; its holder types the PIN
way-renew-keys = give it new keys and certificates; its holder types the PIN, and old mail stays readable
way-check = check that card, registry and authority agree
way-stock-add = take it into stock
way-stock-file = take it into stock with its manufacturer's stock file

# What can be undone, for every state
undo-unknown = Nothing was done with this card yet, so there is nothing to undo.
undo-in-stock = Nothing of a card in stock needs undoing: give it to somebody, or record that it is destroyed.
undo-unusable = What made it unusable cannot be undone here. Reset, or with its right stock file, it can be taken into stock again.
undo-being-personalised = The card is half-made. Go on making it, or give it up: then what was certified is revoked and the card goes back to stock.
undo-awaiting-activation = Issuing is not undone: its certificates may be known already. A hold stops them and can be undone; taking the card back revokes them for good.
undo-active = The card is in use; nothing waits to be undone. A hold stops it and can be undone; taking it back revokes its certificates for good.
undo-pin-blocked = A blocked PIN is undone by setting a new one at the desk; then the card is active again.
undo-on-hold = A hold is undone by a release: card and certificates are as before.
undo-lost = The revocation of a lost card cannot be undone. If the card turns up, take it back.
undo-stolen = The revocation of a stolen card cannot be undone. If the card turns up, take it back.
undo-damaged = The revocation of a damaged card cannot be undone. It can be taken back.
undo-replaced = A replacement cannot be undone: another card stands in its place. This one can be taken back.
undo-revoked = A revocation cannot be undone. The card can be taken back.
undo-returned = Its certificates stay revoked.
undo-destroyed = A destroyed card is no more; nothing can be undone.
undo-can-be-wiped = Wiped, it can be anybody's.
undo-cannot-be-wiped = A card of this kind cannot be wiped: once it is back, destroy it.
undo-how = It is undone with: { $command }
undo-do-it = Do it now?

# What was begun with a card and is not done
half-done-renewal = A renewal of it was begun at { $since } and is half done; go on with: { $command }
half-done-unblock = Setting its PIN anew was begun at { $since } and is half done; go on with: { $command }
half-done-wipe = Wiping it was begun at { $since } and is half done; go on with: { $command }
half-done-then = { ", then " }
way-go-on-renewal = go on with the renewal that was begun
way-go-on-unblock = go on with setting its PIN anew
way-go-on-wipe = go on with wiping it, and put it into stock again

# The shell
shell-greeting =
    The desk of { $organization }. Insert a card and press Enter, and you are led through; or type a command.
    help shows the commands, Tab completes, quit ends.
shell-insert = Insert a card. (Ctrl-C: no card)
shell-several = There is a card in more than one reader:
shell-no-card = There is no card.
shell-card = Card { $card }: { $state }.
shell-card-of = Card { $card }: { $state } since { $since }, { $holder }.
shell-card-since = Card { $card }: { $state } since { $since }.
shell-blank = Card { $card } is blank and not in stock.
shell-foreign =
    Card { $card } is not in the registry, and has certificates: { $subjects }.
    Nothing was changed on it. If it may become one of yours, its owner resets it first; then take it into stock.
shell-emulated = Card { $card } is emulated, and this registry takes none: emulated cards are for issuers made with --allow-emulated.
shell-differs = The card shows GUID { $shown }, and the registry has { $recorded } for it: it was reset, or is another card's shell. Do not hand it out.
shell-made-new = It is new to the desk; nothing is written on it before you say so.
shell-offers = What can be done now:
shell-choose = Number (Enter: nothing more)
shell-no-such-number = { $answer } is none of the numbers.
shell-nothing-to-do = Nothing can be done with it now.
shell-which-reader = Which one (number)
shell-person = For whom (name, mail address or identifier)
shell-person-unknown = Nobody is found for "{ $text }".
shell-person-several = More than one is found:
shell-which-person = Which one (number)
shell-is-it = { $person }?
shell-reason = Why ({ $reasons })
shell-file = File
shell-pin-file = New file for the transport PIN (Enter: it is shown here, once)
shell-pin-file-needed = New file for the transport PIN
shell-sure = That cannot be undone. Sure?
shell-yes-no = (y/N)
shell-yes-no-default-yes = (Y/n)
shell-not-done = Nothing was changed.
shell-locked = The passphrase is forgotten and the operator logged out; both are asked for again when they are needed.
shell-interrupted = Interrupted. What was under way stands as the registry has it; run the command again to go on.
shell-no-answer = Nobody answers the question "{ $question }": the input has ended.
shell-line = line { $line }: { $message }

# Progress and results
issue-begun = card { $card }
issue-begun-again = card { $card }: attempt { $attempt }; what the one before left behind is replaced and revoked
issue-resumed = card { $card }: attempt { $attempt } goes on where the one before stopped
issue-key-kept = { $key } made before the interruption, proven again
issue-certificate-kept = { $key } certified before the interruption ({ $serial }), on the card
issue-secrets = PUK, transport PIN and management key set
issue-key-made = { $key } generated on the card, proven
issue-key-injected = { $key } made here, written into the card and forgotten, proven
issue-certified = { $key } certified ({ $serial }), written
issue-verified = { $key } read back, exercised against its certificate
renew-begun = renewal begun
renew-resumed = the renewal that was begun before goes on, as it was begun
renew-retired = the old 9D lies at { $reference } now, with its certificate; the key history says so
issue-done = { $name } <{ $mail }> has card { $card } until { $until }; publish the certificates, hand the card and the transport PIN over separately.
issue-pin = Transport PIN, shown only now:
changed-card = Card { $card } is { $state } now.
changed-card-of = Card { $card } of { $holder } is { $state } now.
changed-publish = Make it known with: issuer publish --to DIR
changed-back = What goes back from here: { $way }
changed-next = What comes next: { $way }
changed-no-way-back = Nothing of this needs or has a way back.
revoke-one = Certificate { $serial } of { $subject } is revoked ({ $reason }).
revoke-certificate = 1 certificate revoked ({ $reason }).
revoke-certificates = { $count } certificates revoked ({ $reason }).
revoke-explained = The reason of 1 certificate revoked before is now { $reason }.
revoke-explained-several = The reason of { $count } certificates revoked before is now { $reason }.
revoke-card-ended = The card is ended.
revoke-card-in-stock = The half-made card is back in stock.
revoke-card-set-aside = The card cannot be personalised and is set aside as unusable; once it is reset, take it in again with: issuer stock add --card LOCATOR. A card with a stock file is taken in again with the right one: issuer stock add --file STOCK.toml.
stock-none = No card was taken into stock.
stock-one = 1 card taken into stock: { $card }.
stock-many = { $count } cards taken into stock.
show-card = Card { $card } ({ $identity }): { $state }.
show-card-since = Card { $card } ({ $identity }): { $state } since { $since }.
show-card-of = Card { $card } ({ $identity }): { $state } since { $since }, { $holder }.
show-card-last-of = Card { $card } ({ $identity }): { $state } since { $since }, last of { $holder }.
show-puk-exposed = Its PUK is exposed since { $since }: it left the desk, and nobody confirmed that it was changed.
show-next = What can come next:
show-back = What goes back:

# Kinds of failure; the details follow
failure = It was not done:
