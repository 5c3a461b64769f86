package main

import (
	"errors"
	"flag"
	"fmt"
	"time"

	"healthrecords/notify"
	"healthrecords/store"
)

// userActions are what the user command does, by the word for it.
var userActions = map[string]func(p *program, s *store.Store, a store.Actor, name string) error{
	"activate":       activate,
	"deactivate":     deactivate,
	"sessions":       listSessions,
	"unlock":         unlock,
	"reset-password": resetPassword,
	"reset-otp":      resetOTP,
}

// userCommand does what is needed when someone is locked out or leaves.
func userCommand(p *program, args []string) error {
	var end bool
	given, err := p.flags("user", args, []string{"what", "username"}, func(f *flag.FlagSet) {
		f.BoolVar(&end, "end", false, "with sessions: end them all")
	})
	if err != nil {
		return err
	}
	what, name := given[0], given[1]
	action, known := userActions[what]
	if !known || end && what != "sessions" {
		return usage("user: say activate, deactivate, sessions, unlock, reset-password or reset-otp; --end goes with sessions")
	}
	if end {
		action = endSessions
	}
	s, _, err := p.open(false)
	if err != nil {
		return err
	}
	defer s.Close()
	err = action(p, s, store.Command("user "+what), name)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("nobody has that user name")
	}
	return err
}

func activate(p *program, s *store.Store, a store.Actor, name string) error {
	return p.done("The account is activated.", s.SetActive(p.ctx, a, name, true))
}

func deactivate(p *program, s *store.Store, a store.Actor, name string) error {
	return p.done("The account is deactivated.", s.SetActive(p.ctx, a, name, false))
}

func unlock(p *program, s *store.Store, a store.Actor, name string) error {
	return p.done("The failed attempts are forgotten; the password works again.", s.Unlock(p.ctx, a, name))
}

func resetOTP(p *program, s *store.Store, a store.Actor, name string) error {
	return p.done("One-time codes are off for the account.", s.ResetOTP(p.ctx, a, name))
}

// done says what was done, unless it failed.
func (p *program) done(what string, err error) error {
	if err == nil {
		fmt.Fprintln(p.out, what)
	}
	return err
}

// resetPassword prints the link that a mail would carry. It is shown once: the
// database holds its hash alone.
func resetPassword(p *program, s *store.Store, a store.Actor, name string) error {
	token, err := s.NewReset(p.ctx, a, name)
	if errors.Is(err, store.ErrForbidden) {
		return errors.New("the account is not active; activate it first")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s%s%s\n", p.settings.PublicURL, notify.ResetPage, token)
	fmt.Fprintln(p.err, "Give this link to the owner of the account and to nobody else. It lets them choose a password, once, in the next 10 minutes. What stands behind its last slash is the token.")
	return nil
}

func endSessions(p *program, s *store.Store, a store.Actor, name string) error {
	n, err := s.EndSessions(p.ctx, a, name)
	return p.done(counted(n, "session was", "sessions were")+" ended.", err)
}

func listSessions(p *program, s *store.Store, a store.Actor, name string) error {
	list, err := s.Sessions(p.ctx, a, name)
	if err != nil {
		return err
	}
	for _, x := range list {
		fmt.Fprintf(p.out, "%s  since %s  used %s  until %s  from %s\n", x.ID,
			x.Created.Format(time.RFC3339), x.LastUsed.Format(time.RFC3339), x.Expires.Format(time.RFC3339), x.Address)
	}
	fmt.Fprintf(p.err, "%s open.\n", counted(len(list), "session is", "sessions are"))
	return nil
}
