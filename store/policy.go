package store

// Role is what kind of account acts.
type Role string

// The roles. Nobody has no token; the Operator types commands on the machine.
const (
	Nobody      Role = "nobody"
	PatientRole Role = "patient"
	DoctorRole  Role = "doctor"
	Staff       Role = "staff"
	Operator    Role = "operator"
)

// Action is what is done, as the trail names it.
type Action string

// The actions.
const (
	ListPatients   Action = "patient.list"
	CreatePatient  Action = "patient.create"
	ReadPatient    Action = "patient.read"
	ChangePatient  Action = "patient.change"
	DeletePatient  Action = "patient.delete"
	ListDoctors    Action = "doctor.list"
	CreateDoctor   Action = "doctor.create"
	ReadDoctor     Action = "doctor.read"
	ChangeDoctor   Action = "doctor.change"
	DeleteDoctor   Action = "doctor.delete"
	ListTreated    Action = "doctor.patients" // the patients of one doctor
	ListRecords    Action = "record.list"
	ListRecordsOf  Action = "patient.records" // the records of one patient
	CreateRecord   Action = "record.create"
	ReadRecord     Action = "record.read"
	ChangeRecord   Action = "record.change"
	DeleteRecord   Action = "record.delete"
	ListNotes      Action = "note.list"
	CreateNote     Action = "note.create"
	ReadNote       Action = "note.read"
	ChangeNote     Action = "note.change"
	DeleteNote     Action = "note.delete"
	ReadSelf       Action = "self.read"
	SignIn         Action = "session.open"
	RefreshSession Action = "session.refresh"
	EndSession     Action = "session.end"
	CreateStaff    Action = "staff.create"
	SetActive      Action = "account.activate"
	CheckSession   Action = "session.check"
	ListSessions   Action = "account.sessions"
	RotateKeys     Action = "keys.rotate"
	ErasePatient   Action = "patient.erase"
	BackUp         Action = "database.backup"
	RestoreBackup  Action = "database.restore"
	ExportTrail    Action = "audit.export"
	CopyDatabase   Action = "database.copy"

	SeeDeleted         Action = "deleted.versions" // in place of the next two, once the object was deleted
	ListRecordVersions Action = "record.versions"
	ListNoteVersions   Action = "note.versions"
	ReadAccessLog      Action = "patient.access-log"
	ListEvents         Action = "audit.list"
	ReadStatus         Action = "practice.status"
	EndSessions        Action = "account.end-sessions"

	ListStaff          Action = "staff.list"
	ReadStaff          Action = "staff.read"
	ChangeStaff        Action = "staff.change"
	DeleteStaff        Action = "staff.delete"
	Invite             Action = "invitation.create"
	ListInvitations    Action = "invitation.list"
	ReadInvitation     Action = "invitation.read"
	ResendInvitation   Action = "invitation.resend"
	WithdrawInvitation Action = "invitation.withdraw"
	AcceptInvitation   Action = "invitation.accept"
	RequestReset       Action = "reset.request"
	ConfirmReset       Action = "reset.confirm"
	NewReset           Action = "account.reset"
	Unlock             Action = "account.unlock"
	ResetOTP           Action = "account.otp-off"
	ChangePassword     Action = "self.password"
	ReadOTP            Action = "self.otp"
	BeginOTP           Action = "self.otp-begin"
	ConfirmOTP         Action = "self.otp-on"
	EndOTP             Action = "self.otp-off"
	ListMySessions     Action = "self.sessions"
	EndMySession       Action = "self.end-session"
	EndOtherSessions   Action = "self.end-other-sessions"
)

// Tie is how the actor stands to the object of an action, as a set.
type Tie uint8

// The ties. Treating is a verified doctor to a patient assigned to it now, and
// to that patient's records and notes.
const (
	Own      Tie = 1 << iota // the patient's or doctor's own profile, the patient's own records and notes
	Treating                 // see above
	Wrote                    // the author of this record or note
	Listed                   // a verified doctor at work, whom everyone signed in may look up
	anyone   Tie = 0
)

// rule lets a role with all these ties do something.
type rule struct {
	role Role
	tie  Tie
}

// policy lists who may do what. What does not stand here is not allowed.
var policy = map[Action][]rule{
	ListPatients:  {{PatientRole, anyone}, {DoctorRole, anyone}, {Staff, anyone}}, // each sees those it may read
	CreatePatient: {{Nobody, anyone}, {Staff, anyone}},
	ReadPatient:   {{PatientRole, Own}, {DoctorRole, Treating}, {Staff, anyone}},
	ChangePatient: {{PatientRole, Own}, {Staff, anyone}},
	DeletePatient: {{PatientRole, Own}, {Staff, anyone}},
	ListRecordsOf: {{PatientRole, Own}, {DoctorRole, Treating}},

	ListDoctors:  {{PatientRole, anyone}, {DoctorRole, anyone}, {Staff, anyone}}, // each sees those it may read
	CreateDoctor: {{Nobody, anyone}, {Staff, anyone}},
	ReadDoctor:   {{PatientRole, Listed}, {DoctorRole, Listed}, {DoctorRole, Own}, {Staff, anyone}},
	ChangeDoctor: {{DoctorRole, Own}, {Staff, anyone}},
	DeleteDoctor: {{DoctorRole, Own}, {Staff, anyone}},
	ListTreated:  {{DoctorRole, Own}, {Staff, anyone}},

	ListRecords:  {{PatientRole, anyone}, {DoctorRole, anyone}}, // each sees those it may read
	CreateRecord: {{PatientRole, Own}, {DoctorRole, Treating}},
	ReadRecord:   {{PatientRole, Own}, {DoctorRole, Treating}},
	ChangeRecord: {{PatientRole, Own | Wrote}, {DoctorRole, Treating | Wrote}},
	DeleteRecord: {{PatientRole, Own | Wrote}, {DoctorRole, Treating | Wrote}},

	SeeDeleted:         {{PatientRole, Own}, {DoctorRole, Treating | Wrote}},
	ListRecordVersions: {{PatientRole, Own}, {DoctorRole, Treating}},

	ListNotes:        {{PatientRole, anyone}, {DoctorRole, anyone}}, // each sees those it may read
	CreateNote:       {{DoctorRole, Treating}},
	ReadNote:         {{PatientRole, Own}, {DoctorRole, Treating}},
	ChangeNote:       {{DoctorRole, Treating | Wrote}},
	DeleteNote:       {{DoctorRole, Treating | Wrote}},
	ListNoteVersions: {{PatientRole, Own}, {DoctorRole, Treating}},

	ReadAccessLog: {{PatientRole, Own}, {Staff, anyone}},
	ListEvents:    {{Staff, anyone}},
	ReadStatus:    {{Staff, anyone}},

	ReadSelf:       everyone,
	CheckSession:   {{Nobody, anyone}, {PatientRole, anyone}, {DoctorRole, anyone}, {Staff, anyone}},
	SignIn:         {{Nobody, anyone}},
	RefreshSession: {{Nobody, anyone}},
	EndSession:     {{Nobody, anyone}},
	CreateStaff:    {{Operator, anyone}, {Staff, anyone}},
	SetActive:      {{Operator, anyone}},
	ListSessions:   {{Operator, anyone}},
	RotateKeys:     {{Operator, anyone}},
	ErasePatient:   {{Operator, anyone}},
	BackUp:         {{Operator, anyone}},
	RestoreBackup:  {{Operator, anyone}},
	ExportTrail:    {{Operator, anyone}},
	CopyDatabase:   {{Operator, anyone}},
	EndSessions:    {{Operator, anyone}},

	ListStaff:   {{Staff, anyone}},
	ReadStaff:   {{Staff, anyone}},
	ChangeStaff: {{Staff, anyone}},
	DeleteStaff: {{Staff, anyone}},

	Invite:             {{Staff, anyone}},
	ListInvitations:    {{Staff, anyone}},
	ReadInvitation:     {{Staff, anyone}},
	ResendInvitation:   {{Staff, anyone}},
	WithdrawInvitation: {{Staff, anyone}},
	AcceptInvitation:   {{Nobody, anyone}},

	RequestReset: {{Nobody, anyone}},
	ConfirmReset: {{Nobody, anyone}},
	NewReset:     {{Operator, anyone}},
	Unlock:       {{Operator, anyone}},
	ResetOTP:     {{Operator, anyone}},

	ChangePassword:   everyone,
	ReadOTP:          everyone,
	BeginOTP:         everyone,
	ConfirmOTP:       everyone,
	EndOTP:           everyone,
	ListMySessions:   everyone,
	EndMySession:     everyone,
	EndOtherSessions: everyone,
}

// everyone signed in may do what is about its own account alone.
var everyone = []rule{{PatientRole, anyone}, {DoctorRole, anyone}, {Staff, anyone}}

// withoutOTP are the actions for which nobody needs a second factor: those
// about the own account, which lead to one.
var withoutOTP = map[Action]bool{
	ReadSelf: true, CheckSession: true, ChangePassword: true, ReadOTP: true, BeginOTP: true, ConfirmOTP: true, EndOTP: true,
	ListMySessions: true, EndMySession: true, EndOtherSessions: true,
}

// Allowed is the policy: whether someone of this role, tied like this to the
// object, may do the action.
func Allowed(role Role, tie Tie, action Action) bool {
	for _, rule := range policy[action] {
		if rule.role == role && tie&rule.tie == rule.tie {
			return true
		}
	}
	return false
}

// conceivable tells whether some tie would let the role do the action or at
// least see its object; where none would, the answer is the same for every
// object, existing or not.
func conceivable(role Role, action Action) bool {
	return Allowed(role, ^Tie(0), action) || Allowed(role, ^Tie(0), seeing[action])
}

// seeing is the action that shows the object of another action: who may see
// it but not do that is told so, who may not even see it is told nothing.
var seeing = map[Action]Action{
	ReadPatient: ReadPatient, ChangePatient: ReadPatient, DeletePatient: ReadPatient,
	ReadAccessLog: ReadPatient, ListRecordsOf: ReadRecord,
	ReadDoctor: ReadDoctor, ChangeDoctor: ReadDoctor, DeleteDoctor: ReadDoctor, ListTreated: ReadDoctor,
	ReadRecord: ReadRecord, ChangeRecord: ReadRecord, DeleteRecord: ReadRecord,
	ReadNote: ReadNote, ChangeNote: ReadNote, DeleteNote: ReadNote,
}
