-- Every table of the service, in numbered steps, one text for SQLite and
-- PostgreSQL. A step is applied once, in one transaction; a step that was
-- released is never edited, what changes later is a new step. What the two
-- databases do not say alike stands in dialect.go.
--
-- Ids are UUIDv7 as text, instants RFC 3339 text in UTC with microseconds, so
-- both sort as text. A BYTEA is sealed or hashed: nothing in it is readable
-- without a key that is not in the database.

-- step 1

-- The keys that wrap all others: their ids only.
CREATE TABLE data_keys (
    id         TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    retired_at TEXT
);

-- The service's own keys (trail, names), wrapped by a data key.
CREATE TABLE service_keys (
    name        TEXT PRIMARY KEY,
    data_key_id TEXT NOT NULL REFERENCES data_keys (id),
    wrapped     BYTEA NOT NULL
);

-- Patients, doctors and staff. The id of a patient or doctor is that of its
-- account. The account's own key seals profile and password; a patient's also
-- seals its records and their notes.
CREATE TABLE accounts (
    id          TEXT PRIMARY KEY,
    role        TEXT NOT NULL CHECK (role IN ('patient', 'doctor', 'staff')),
    name_hash   BYTEA NOT NULL UNIQUE, -- keyed hash of the folded user name
    data_key_id TEXT NOT NULL REFERENCES data_keys (id),
    wrapped_key BYTEA NOT NULL,
    profile     BYTEA NOT NULL, -- sealed: names, addresses, what else the role has
    password    BYTEA NOT NULL, -- sealed: the PHC string
    active      INTEGER NOT NULL CHECK (active IN (0, 1)),
    verified    INTEGER NOT NULL CHECK (verified IN (0, 1)),
    version     INTEGER NOT NULL, -- of the profile
    paired      INTEGER NOT NULL, -- how often its assignments changed
    renamed     INTEGER NOT NULL, -- how often its name changed
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    deleted_at  TEXT
);
CREATE INDEX accounts_by_role ON accounts (role, id) WHERE deleted_at IS NULL;

-- Who treats whom, since and until when. An open pair has no end.
CREATE TABLE assignments (
    patient_id TEXT NOT NULL REFERENCES accounts (id),
    doctor_id  TEXT NOT NULL REFERENCES accounts (id),
    since      TEXT NOT NULL,
    ended_at   TEXT
);
CREATE UNIQUE INDEX assignments_open ON assignments (doctor_id, patient_id) WHERE ended_at IS NULL;
CREATE INDEX assignments_by_patient ON assignments (patient_id, doctor_id) WHERE ended_at IS NULL;

CREATE TABLE sessions (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL, -- the absolute end
    ended_at   TEXT,
    -- The one refresh token that is good, and the one it came from.
    refresh_id        TEXT NOT NULL,
    refresh_issued_at TEXT NOT NULL,
    parent_id         TEXT NOT NULL,
    parent_used_at    TEXT NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account_id, id);

CREATE TABLE records (
    id         TEXT PRIMARY KEY,
    patient_id TEXT NOT NULL REFERENCES accounts (id),
    author_id  TEXT NOT NULL REFERENCES accounts (id),
    date       TEXT NOT NULL,
    content    BYTEA NOT NULL, -- sealed: title, description
    version    INTEGER NOT NULL,
    noted      INTEGER NOT NULL, -- how often its notes changed
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    deleted_at TEXT
);
CREATE INDEX records_by_patient ON records (patient_id, date, id) WHERE deleted_at IS NULL;
CREATE INDEX records_by_author ON records (author_id, date, id) WHERE deleted_at IS NULL;

-- What a record said before each change.
CREATE TABLE record_versions (
    record_id  TEXT NOT NULL REFERENCES records (id),
    version    INTEGER NOT NULL,
    date       TEXT NOT NULL,
    content    BYTEA NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (record_id, version)
);

CREATE TABLE notes (
    id         TEXT PRIMARY KEY,
    record_id  TEXT NOT NULL REFERENCES records (id),
    patient_id TEXT NOT NULL REFERENCES accounts (id),
    doctor_id  TEXT NOT NULL REFERENCES accounts (id),
    content    BYTEA NOT NULL, -- sealed: the note
    version    INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    deleted_at TEXT
);
CREATE INDEX notes_by_record ON notes (record_id, id) WHERE deleted_at IS NULL;
CREATE INDEX notes_by_patient ON notes (patient_id, id) WHERE deleted_at IS NULL;

CREATE TABLE note_versions (
    note_id    TEXT NOT NULL REFERENCES notes (id),
    version    INTEGER NOT NULL,
    content    BYTEA NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (note_id, version)
);

-- Mail to send. The address is looked up in the account when it is sent.
CREATE TABLE outbox (
    id         TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL,
    queued_at  TEXT NOT NULL,
    due_at     TEXT NOT NULL, -- not before; while it is being sent: the end of the lease
    attempts   INTEGER NOT NULL,
    done_at    TEXT,
    outcome    TEXT NOT NULL -- '', 'sent', or why not (yet)
);
CREATE INDEX outbox_due ON outbox (due_at, id) WHERE done_at IS NULL;

-- Who did what to whom. Rows are only ever added.
CREATE TABLE audit (
    lane     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    at       TEXT NOT NULL,
    actor    TEXT NOT NULL, -- account id; '' for nobody, or for the operator
    role     TEXT NOT NULL,
    session  TEXT NOT NULL,
    action   TEXT NOT NULL,
    object   TEXT NOT NULL,
    version  INTEGER NOT NULL, -- of the object, after the action; 0 where none
    patient  TEXT NOT NULL, -- whose data it touched, when that is one
    patients TEXT NOT NULL, -- when several: their ids, a space between
    fields   TEXT NOT NULL, -- names of what was changed, never values
    outcome  TEXT NOT NULL,
    address  TEXT NOT NULL,
    request  TEXT NOT NULL,
    mac      BYTEA NOT NULL, -- over all of this and the MAC before it
    PRIMARY KEY (lane, seq)
);
CREATE INDEX audit_by_patient ON audit (patient, at, lane, seq) WHERE patient <> '';
-- What made each version of an object, to hold the objects against the trail.
CREATE INDEX audit_of_versions ON audit (object, version) WHERE version > 0;

-- The entries that touched a patient, by patient (see step 4).
CREATE TABLE audit_patients (
    patient_id TEXT NOT NULL,
    at         TEXT NOT NULL,
    lane       INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (patient_id, at, lane, seq)
);

-- Patients whose key and rows were destroyed, and why.
CREATE TABLE erasures (
    patient_id TEXT PRIMARY KEY,
    erased_at  TEXT NOT NULL,
    reason     BYTEA NOT NULL -- sealed
);

-- When something was last done that operators want to know of.
CREATE TABLE milestones (
    name TEXT PRIMARY KEY, -- backup, ready
    at   TEXT NOT NULL
);

-- step 2

-- Entries are listed by time, for each lane has numbers of its own.
CREATE INDEX audit_by_time ON audit (at, lane, seq);

-- step 3

-- The second factor. That it is on lies open beside role and standing, and the
-- seal of the profile is bound to it.
ALTER TABLE accounts ADD COLUMN otp_on INTEGER NOT NULL DEFAULT 0 CHECK (otp_on IN (0, 1));
ALTER TABLE accounts ADD COLUMN otp BYTEA; -- sealed: the secret, confirmed or not; null when there is none
ALTER TABLE accounts ADD COLUMN otp_step INTEGER NOT NULL DEFAULT 0; -- of the last code that was used
ALTER TABLE accounts ADD COLUMN email_hash BYTEA; -- keyed hash of the folded address; null when there is none
ALTER TABLE accounts ADD COLUMN devices_since TEXT NOT NULL DEFAULT ''; -- proofs of devices from before do not count
CREATE INDEX accounts_by_email ON accounts (email_hash) WHERE email_hash IS NOT NULL;

CREATE TABLE recovery_codes (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    hash       BYTEA NOT NULL, -- keyed; a used code is gone
    PRIMARY KEY (account_id, hash)
);

-- Where a session was opened, and by what program, as that calls itself.
ALTER TABLE sessions ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';
-- Those that count, however many an account has had.
CREATE INDEX sessions_live ON sessions (account_id, id) WHERE ended_at IS NULL;
CREATE INDEX sessions_over ON sessions (COALESCE(ended_at, expires_at));

-- Attempts, by who makes them or whom they are aimed at.
CREATE TABLE limits (
    subject    BYTEA PRIMARY KEY, -- keyed hash of kind and value
    account_id TEXT REFERENCES accounts (id), -- that it is aimed at, when there is one
    failures   INTEGER NOT NULL, -- without a success between them
    recent     INTEGER NOT NULL, -- those without a quiet day between them
    at         TEXT NOT NULL -- of the last attempt; of a rate: until when it is used up
);
CREATE INDEX limits_by_account ON limits (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX limits_of_nobody ON limits (at) WHERE account_id IS NULL;

-- Tokens that are good once, for a new password or an invitation.
CREATE TABLE one_use (
    id         TEXT PRIMARY KEY, -- the mail's that carries it; of no use without the key
    hash       BYTEA NOT NULL UNIQUE, -- SHA-256 of the token
    account_id TEXT NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL,
    expires_at TEXT NOT NULL
);
CREATE INDEX one_use_by_account ON one_use (account_id);
CREATE INDEX one_use_over ON one_use (expires_at);

-- Accounts that staff made and whose owners have not yet accepted.
CREATE TABLE invitations (
    account_id TEXT PRIMARY KEY REFERENCES accounts (id),
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
);

-- Where a mail goes that does not go to the account's address of today.
ALTER TABLE outbox ADD COLUMN recipient BYTEA; -- sealed; null once the mail is done
CREATE INDEX outbox_done ON outbox (done_at) WHERE done_at IS NOT NULL;

-- step 4

-- audit_patients leads to every entry that touched a patient, no longer only to
-- those that touched several. It is brought up to date for many entries at once,
-- each of which would else write a page of the index of its own; the last ones
-- of each lane, which are not in it yet, are looked through.
CREATE TABLE audit_indexed (
    lane INTEGER PRIMARY KEY,
    seq  INTEGER NOT NULL -- of the last entry that is in audit_patients and audit_actors
);
INSERT INTO audit_indexed (lane, seq) WITH RECURSIVE lanes (lane) AS (SELECT 0 UNION ALL SELECT lane + 1 FROM lanes WHERE lane < 63)
    SELECT l.lane, COALESCE((SELECT MAX(a.seq) FROM audit a WHERE a.lane = l.lane), 0) FROM lanes l;
ALTER TABLE audit_patients RENAME TO audit_of_several;
CREATE TABLE audit_patients (
    patient_id TEXT NOT NULL,
    at         TEXT NOT NULL,
    lane       INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (patient_id, at, lane, seq)
) WITHOUT ROWID;
INSERT INTO audit_patients (patient_id, at, lane, seq) SELECT patient, at, lane, seq FROM audit WHERE patient <> ''
    UNION ALL SELECT patient_id, at, lane, seq FROM audit_of_several ORDER BY 1, 2;
DROP TABLE audit_of_several;
DROP INDEX audit_by_patient;

-- The entries by time, under '', and those of what an account did, but for what
-- patients did to their own data, which audit_patients leads to. It is brought up to
-- date together with that.
CREATE TABLE audit_actors (
    actor TEXT NOT NULL,
    at    TEXT NOT NULL,
    lane  INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (actor, at, lane, seq)
) WITHOUT ROWID;
INSERT INTO audit_actors (actor, at, lane, seq) SELECT '', at, lane, seq FROM audit
    UNION ALL SELECT actor, at, lane, seq FROM audit WHERE actor <> '' AND actor <> patient ORDER BY 1, 2;
DROP INDEX audit_by_time;

-- The list of events, narrowed to what is seldom in the trail: its entries would
-- else be looked for all along it. What is read all day is soon found, and has no
-- row in these indexes, which each such entry would have to wait for. It is left
-- out one by one, for SQLite would make a table of NOT IN (...) for each entry.
CREATE INDEX audit_by_outcome ON audit (outcome, at, lane, seq) WHERE outcome <> 'done';
CREATE INDEX audit_by_action ON audit (action, at, lane, seq) WHERE action <> 'record.read' AND action <> 'record.list' AND action <> 'patient.records' AND action <> 'self.read' AND action <> 'session.refresh' AND action <> 'note.list' AND action <> 'patient.list' AND action <> 'patient.read' AND action <> 'doctor.list';

-- Whether an account lives is asked of each patient of a doctor. This is said in
-- far fewer pages than the accounts themselves have.
CREATE UNIQUE INDEX accounts_living ON accounts (id) WHERE deleted_at IS NULL;

-- Mails that failed are counted, and are few among those that were sent.
CREATE INDEX outbox_unsent ON outbox (done_at) WHERE done_at IS NOT NULL AND outcome <> 'sent';
