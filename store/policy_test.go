package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"healthrecords/store"
)

// policyRule is a line of the policy as one would say it: may somebody of this
// role, who stands like this to the object, do this?
type policyRule struct {
	may    bool
	role   store.Role
	tie    store.Tie
	action store.Action
}

// policyRules is the whole policy once more. What an allow line does not say,
// with these ties or more, is refused; the deny lines say so where it matters
// most.
func policyRules() []policyRule {
	const (
		nobody   = store.Nobody
		patient  = store.PatientRole
		doctor   = store.DoctorRole
		staff    = store.Staff
		operator = store.Operator

		noTie    = store.Tie(0)   // another's, or a list, which shows each what it may read
		own      = store.Own      // the patient's or the doctor's own
		treating = store.Treating // a verified doctor, to a patient assigned to it now
		wrote    = store.Wrote    // its author
		listed   = store.Listed   // a verified doctor, to everyone
		anyTie   = ^store.Tie(0)  // all ties at once; anyTie^own: all but that one
	)
	allow := func(role store.Role, tie store.Tie, action store.Action) policyRule {
		return policyRule{true, role, tie, action}
	}
	deny := func(role store.Role, tie store.Tie, action store.Action) policyRule {
		return policyRule{false, role, tie, action}
	}
	return []policyRule{
		// Patients.
		allow(patient, own, store.ReadPatient),
		allow(patient, own, store.ChangePatient),
		allow(patient, own, store.DeletePatient),
		allow(patient, own, store.ListRecordsOf),
		allow(patient, own, store.ReadAccessLog),
		allow(patient, noTie, store.ListPatients),
		deny(patient, anyTie^own, store.ReadPatient),
		deny(patient, anyTie, store.CreatePatient),
		allow(doctor, treating, store.ReadPatient),
		allow(doctor, treating, store.ListRecordsOf),
		allow(doctor, noTie, store.ListPatients),
		deny(doctor, anyTie^treating, store.ReadPatient),
		deny(doctor, anyTie, store.ChangePatient),
		deny(doctor, anyTie, store.DeletePatient),
		deny(doctor, anyTie, store.CreatePatient),
		deny(doctor, anyTie, store.ReadAccessLog),
		allow(staff, noTie, store.ListPatients),
		allow(staff, noTie, store.CreatePatient),
		allow(staff, noTie, store.ReadPatient),
		allow(staff, noTie, store.ChangePatient),
		allow(staff, noTie, store.DeletePatient),
		allow(staff, noTie, store.ReadAccessLog),
		deny(staff, anyTie, store.ListRecordsOf),
		allow(nobody, noTie, store.CreatePatient),
		deny(nobody, anyTie, store.ListPatients),
		deny(nobody, anyTie, store.ReadPatient),

		// Doctors.
		allow(patient, listed, store.ReadDoctor),
		allow(patient, noTie, store.ListDoctors),
		deny(patient, anyTie^listed, store.ReadDoctor),
		deny(patient, anyTie, store.ChangeDoctor),
		deny(patient, anyTie, store.ListTreated),
		allow(doctor, listed, store.ReadDoctor),
		allow(doctor, own, store.ReadDoctor),
		allow(doctor, own, store.ChangeDoctor),
		allow(doctor, own, store.DeleteDoctor),
		allow(doctor, own, store.ListTreated),
		allow(doctor, noTie, store.ListDoctors),
		deny(doctor, listed, store.ChangeDoctor),
		deny(doctor, listed, store.ListTreated),
		deny(doctor, anyTie, store.CreateDoctor),
		allow(staff, noTie, store.ListDoctors),
		allow(staff, noTie, store.CreateDoctor),
		allow(staff, noTie, store.ReadDoctor),
		allow(staff, noTie, store.ChangeDoctor),
		allow(staff, noTie, store.DeleteDoctor),
		allow(staff, noTie, store.ListTreated),
		allow(nobody, noTie, store.CreateDoctor),
		deny(nobody, anyTie, store.ListDoctors),
		deny(nobody, anyTie, store.ReadDoctor),

		// Health records.
		allow(patient, own, store.ReadRecord),
		allow(patient, own, store.CreateRecord),
		allow(patient, own|wrote, store.ChangeRecord),
		allow(patient, own|wrote, store.DeleteRecord),
		allow(patient, own, store.ListRecordVersions),
		allow(patient, own, store.SeeDeleted),
		allow(patient, noTie, store.ListRecords),
		deny(patient, own, store.ChangeRecord), // which its doctor wrote
		deny(patient, wrote, store.ReadRecord), // of another
		deny(patient, anyTie^own, store.CreateRecord),
		allow(doctor, treating, store.ReadRecord),
		allow(doctor, treating, store.CreateRecord),
		allow(doctor, treating|wrote, store.ChangeRecord),
		allow(doctor, treating|wrote, store.DeleteRecord),
		allow(doctor, treating, store.ListRecordVersions),
		allow(doctor, treating|wrote, store.SeeDeleted),
		deny(doctor, treating, store.SeeDeleted),
		deny(doctor, wrote, store.SeeDeleted),
		deny(staff, anyTie, store.SeeDeleted),
		allow(doctor, noTie, store.ListRecords),
		deny(doctor, treating, store.ChangeRecord), // which the patient or a colleague wrote
		deny(doctor, treating, store.DeleteRecord),
		deny(doctor, wrote, store.ReadRecord), // while it treated the patient, which is over
		deny(doctor, wrote, store.ChangeRecord),
		deny(doctor, wrote, store.ListRecordVersions),
		deny(doctor, anyTie^treating, store.ReadRecord),
		deny(staff, anyTie, store.ListRecords),
		deny(staff, anyTie, store.ReadRecord),
		deny(staff, anyTie, store.CreateRecord),
		deny(staff, anyTie, store.ChangeRecord),
		deny(staff, anyTie, store.DeleteRecord),
		deny(staff, anyTie, store.ListRecordVersions),
		deny(operator, anyTie, store.ReadRecord),
		deny(nobody, anyTie, store.ReadRecord),

		// Doctors' notes.
		allow(patient, own, store.ReadNote),
		allow(patient, own, store.ListNoteVersions),
		allow(patient, noTie, store.ListNotes),
		deny(patient, anyTie, store.CreateNote),
		deny(patient, anyTie, store.ChangeNote),
		deny(patient, anyTie, store.DeleteNote),
		allow(doctor, treating, store.ReadNote),
		allow(doctor, treating, store.CreateNote),
		allow(doctor, treating|wrote, store.ChangeNote),
		allow(doctor, treating|wrote, store.DeleteNote),
		allow(doctor, treating, store.ListNoteVersions),
		allow(doctor, noTie, store.ListNotes),
		deny(doctor, treating, store.ChangeNote), // which a colleague wrote
		deny(doctor, treating, store.DeleteNote),
		deny(doctor, wrote, store.ReadNote), // while it treated the patient, which is over
		deny(doctor, wrote, store.ChangeNote),
		deny(staff, anyTie, store.ListNotes),
		deny(staff, anyTie, store.ReadNote),
		deny(staff, anyTie, store.CreateNote),
		deny(staff, anyTie, store.ChangeNote),
		deny(staff, anyTie, store.DeleteNote),
		deny(staff, anyTie, store.ListNoteVersions),
		deny(operator, anyTie, store.ReadNote),
		deny(nobody, anyTie, store.ReadNote),

		// Accounts, sessions, the trail, and the machine itself.
		allow(patient, noTie, store.ReadSelf),
		allow(doctor, noTie, store.ReadSelf),
		allow(staff, noTie, store.ReadSelf),
		deny(nobody, anyTie, store.ReadSelf),
		allow(nobody, noTie, store.CheckSession),
		allow(patient, noTie, store.CheckSession),
		allow(doctor, noTie, store.CheckSession),
		allow(staff, noTie, store.CheckSession),
		allow(nobody, noTie, store.SignIn),
		allow(nobody, noTie, store.RefreshSession),
		allow(nobody, noTie, store.EndSession),
		allow(staff, noTie, store.ListEvents),
		deny(patient, anyTie, store.ListEvents),
		deny(doctor, anyTie, store.ListEvents),
		allow(staff, noTie, store.ReadStatus),
		deny(patient, anyTie, store.ReadStatus),
		deny(doctor, anyTie, store.ReadStatus),
		deny(nobody, anyTie, store.ReadStatus),
		allow(operator, noTie, store.CreateStaff),
		allow(staff, noTie, store.CreateStaff),
		deny(doctor, anyTie, store.CreateStaff),
		allow(operator, noTie, store.SetActive),
		allow(operator, noTie, store.ListSessions),
		allow(operator, noTie, store.EndSessions),
		allow(operator, noTie, store.RotateKeys),
		allow(operator, noTie, store.ErasePatient),
		allow(operator, noTie, store.BackUp),
		allow(operator, noTie, store.RestoreBackup),
		allow(operator, noTie, store.CopyDatabase),
		allow(operator, noTie, store.ExportTrail),
		deny(staff, anyTie, store.SetActive),
		deny(staff, anyTie, store.ErasePatient),
		deny(nobody, anyTie, store.CreateStaff),

		// Staff accounts and invitations.
		allow(staff, noTie, store.ListStaff),
		deny(doctor, anyTie, store.ListStaff),
		allow(staff, noTie, store.ReadStaff),
		deny(doctor, anyTie, store.ReadStaff),
		allow(staff, noTie, store.ChangeStaff),
		deny(doctor, anyTie, store.ChangeStaff),
		allow(staff, noTie, store.DeleteStaff),
		deny(doctor, anyTie, store.DeleteStaff),
		allow(staff, noTie, store.Invite),
		deny(doctor, anyTie, store.Invite),
		allow(staff, noTie, store.ListInvitations),
		deny(doctor, anyTie, store.ListInvitations),
		allow(staff, noTie, store.ReadInvitation),
		deny(doctor, anyTie, store.ReadInvitation),
		allow(staff, noTie, store.ResendInvitation),
		deny(doctor, anyTie, store.ResendInvitation),
		allow(staff, noTie, store.WithdrawInvitation),
		deny(doctor, anyTie, store.WithdrawInvitation),
		deny(patient, anyTie, store.Invite),
		deny(nobody, anyTie, store.ListStaff),
		deny(operator, anyTie, store.DeleteStaff),
		allow(nobody, noTie, store.AcceptInvitation),
		deny(staff, anyTie, store.AcceptInvitation),

		// Passwords and second factors: the owner's, and when that is lost.
		allow(nobody, noTie, store.RequestReset),
		allow(nobody, noTie, store.ConfirmReset),
		allow(operator, noTie, store.NewReset),
		deny(staff, anyTie, store.NewReset),
		allow(operator, noTie, store.Unlock),
		deny(staff, anyTie, store.Unlock),
		allow(operator, noTie, store.ResetOTP),
		deny(staff, anyTie, store.ResetOTP),
		allow(patient, noTie, store.ChangePassword),
		allow(doctor, noTie, store.ChangePassword),
		allow(staff, noTie, store.ChangePassword),
		allow(patient, noTie, store.ReadOTP),
		allow(doctor, noTie, store.ReadOTP),
		allow(staff, noTie, store.ReadOTP),
		allow(patient, noTie, store.BeginOTP),
		allow(doctor, noTie, store.BeginOTP),
		allow(staff, noTie, store.BeginOTP),
		allow(patient, noTie, store.ConfirmOTP),
		allow(doctor, noTie, store.ConfirmOTP),
		allow(staff, noTie, store.ConfirmOTP),
		allow(patient, noTie, store.EndOTP),
		allow(doctor, noTie, store.EndOTP),
		allow(staff, noTie, store.EndOTP),
		allow(patient, noTie, store.ListMySessions),
		allow(doctor, noTie, store.ListMySessions),
		allow(staff, noTie, store.ListMySessions),
		allow(patient, noTie, store.EndMySession),
		allow(doctor, noTie, store.EndMySession),
		allow(staff, noTie, store.EndMySession),
		allow(patient, noTie, store.EndOtherSessions),
		allow(doctor, noTie, store.EndOtherSessions),
		allow(staff, noTie, store.EndOtherSessions),
		deny(nobody, anyTie, store.ChangePassword),
		deny(operator, anyTie, store.ChangePassword),

		// What is not listed is refused, whoever asks.
		deny(doctor, anyTie, "record.purge"),
		deny(doctor, anyTie, "record.READ"),
		deny(staff, anyTie, "record.*"),
		deny(operator, anyTie, "*"),
		deny(patient, anyTie, ""),
		deny("", anyTie, store.ReadRecord),
		deny("admin", anyTie, store.ReadPatient),
		deny("Staff", anyTie, store.ListPatients),
	}
}

func TestPolicy(t *testing.T) {
	for _, r := range policyRules() {
		if got := store.Allowed(r.role, r.tie, r.action); got != r.may {
			t.Errorf("Allowed(%q, %04b, %q) = %v, want %v", r.role, r.tie, r.action, got, r.may)
		}
	}
}

func TestPolicyAllowsNothingElse(t *testing.T) {
	rules := policyRules()
	listedAllow := func(role store.Role, tie store.Tie, action store.Action) bool {
		for _, r := range rules {
			if r.may && r.role == role && r.action == action && tie&r.tie == r.tie {
				return true
			}
		}
		return false
	}
	for _, action := range append(declaredPolicyActions(t), "record.purge", "") {
		for _, role := range []store.Role{store.Nobody, store.PatientRole, store.DoctorRole, store.Staff, store.Operator, "", "admin"} {
			for tie := range store.Tie(1 << 5) {
				if got, want := store.Allowed(role, tie, action), listedAllow(role, tie, action); got != want {
					t.Errorf("Allowed(%q, %08b, %q) = %v, want %v", role, tie, action, got, want)
				}
			}
		}
	}
}

func TestPolicyRulesNameEveryAction(t *testing.T) {
	named := make(map[store.Action]bool)
	for _, r := range policyRules() {
		named[r.action] = true
	}
	for _, action := range declaredPolicyActions(t) {
		if !named[action] {
			t.Errorf("no rule says who may do %q", action)
		}
	}
}

// declaredPolicyActions reads the actions out of the source, so that a new one cannot
// be forgotten here.
func declaredPolicyActions(t *testing.T) []store.Action {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "policy.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var actions []store.Action
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Action" {
			for _, value := range spec.Values {
				text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				actions = append(actions, store.Action(text))
			}
		}
		return true
	})
	if len(actions) == 0 {
		t.Fatal("policy.go declares no actions")
	}
	return actions
}
