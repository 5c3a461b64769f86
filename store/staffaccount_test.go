package store_test

import (
	"fmt"
	"testing"

	"healthrecords/store"
)

func TestStaffAccounts(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	m, err := p.CreateStaff(ctx, admin, &store.StaffInput{User: user("second")})
	if err != nil || !m.Active || m.User.Username != "second" {
		t.Fatalf("CreateStaff = active %v, %v, want true, nil", m.Active, err)
	}
	second := p.actor("second")
	list, err := p.StaffList(ctx, second, wholePage)
	if err != nil || len(list.Items) != 2 || list.Items[0].ID != m.ID {
		t.Errorf("StaffList = %d, %v, want 2, the newest first", len(list.Items), err)
	}
	changed, err := p.ChangeStaff(ctx, admin, m.ID, func(v string) bool { return v == m.Version }, &store.StaffInput{User: store.UserInput{Email: ptr("n@example.test")}})
	if err != nil || changed.Version == m.Version {
		t.Errorf("ChangeStaff = version %s, %v, want another than %s", changed.Version, err, m.Version)
	}
	_, err = p.ChangeStaff(ctx, admin, m.ID, func(v string) bool { return v == m.Version }, &store.StaffInput{})
	wantErr(t, "ChangeStaff of an older version", err, store.ErrPrecondition)
	_, err = p.StaffMember(ctx, admin, p.patient("pat").Account)
	wantErr(t, "StaffMember of a patient", err, store.ErrNotFound)
	wantErr(t, "DeleteStaff", p.DeleteStaff(ctx, admin, m.ID, nil), nil)
	_, err = p.Me(ctx, second)
	wantErr(t, "Me of who was deleted", err, store.ErrSession)
	_, err = p.StaffMember(ctx, admin, m.ID)
	wantErr(t, "StaffMember when it is deleted", err, store.ErrNotFound)
	p.wantTrail()
}

// Somebody runs the practice, whatever is done through the API, and by how many
// at the same moment.
func TestLastStaffStays(t *testing.T) {
	p := newPractice(t)
	ctx := t.Context()
	admin := p.staff("admin")
	shut := func(a store.Actor, id string) error {
		_, err := p.ChangeStaff(ctx, a, id, nil, &store.StaffInput{User: store.UserInput{Active: ptr(false)}})
		return err
	}
	wantErr(t, "is_active of the last", shut(admin, admin.Account), store.ErrLastStaff)
	wantErr(t, "DeleteStaff of the last", p.DeleteStaff(ctx, admin, admin.Account, nil), store.ErrLastStaff)
	for round := range 5 {
		other := p.staff(fmt.Sprint("other ", round))
		errs := make([]error, 2)
		together(2, func(i int) {
			if i == 0 {
				errs[i] = shut(admin, other.Account)
			} else {
				errs[i] = p.DeleteStaff(ctx, other, admin.Account, nil)
			}
		})
		if errs[0] == nil && errs[1] == nil {
			t.Fatal("two who removed each other both did")
		}
		if n := p.count(`SELECT COUNT(*) FROM accounts WHERE role = 'staff' AND active = 1 AND deleted_at IS NULL`); n == 0 {
			t.Fatal("nobody is left")
		}
		if errs[1] == nil {
			admin = other
		}
	}
	wantErr(t, "SetActive by the operator", p.SetActive(ctx, store.Command("test"), p.username(admin), false), nil)
	if has, err := p.HasStaff(ctx); has || err != nil {
		t.Errorf("HasStaff = %v, %v, want false, nil", has, err)
	}
}

func (p *practice) username(a store.Actor) string {
	p.t.Helper()
	me, err := p.Me(p.t.Context(), a)
	if err != nil {
		p.t.Fatalf("Me error = %v, want nil", err)
	}
	return me.User.Username
}
