package store_test

import (
	"crypto/tls"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/lib/pq"

	"healthrecords/store"
	"healthrecords/store/storetest"
)

// In another encoding some names could not be kept, or would be bytes.
func TestPostgresMustKeepTextAsUTF8(t *testing.T) {
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		server := storetest.Postgres(t)
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		u.Path += "_" + strings.ToLower(encoding)
		db := storetest.Open(t, server)
		defer db.Close()
		if _, err := db.Exec("CREATE DATABASE " + u.Path[1:] + " TEMPLATE template0 LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C' ENCODING '" + encoding + "'"); err != nil {
			t.Fatal(err)
		}
		defer db.Exec("DROP DATABASE " + u.Path[1:])
		want := "the database has the encoding " + encoding + "; make it with ENCODING 'UTF8' TEMPLATE template0"
		o := store.Options{URL: u.String(), DataKeys: [][]byte{make([]byte, 32)}, Create: true}
		if _, err := store.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open error = %v, want %s", err, want)
		}
		if _, err := store.IsEmpty(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("IsEmpty error = %v, want %s", err, want)
		}
	}
}

// What a server refuses at first is said with what to do.
func TestPostgresRefusalsSayWhatToDo(t *testing.T) {
	server := storetest.Postgres(t)
	db := storetest.Open(t, server)
	defer db.Close()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	stranger := u.Path[1:] + "_user"
	if _, err := db.Exec(`CREATE ROLE ` + stranger + ` LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC`); err != nil {
		t.Fatal(err)
	}
	defer db.Exec("DROP ROLE " + stranger)
	with := func(change func(*url.URL)) string {
		other := *u
		change(&other)
		return other.String()
	}
	for _, c := range []struct{ name, url, want string }{
		{"no database", with(func(u *url.URL) { u.Path = "/none" }), "there is no such database; make it with CREATE DATABASE"},
		{"no user", with(func(u *url.URL) { u.User = url.User("nobody_known") }), "the server does not let this user in"},
		{"not the owner", with(func(u *url.URL) { u.User = url.User(stranger) }), "it must own the database"},
	} {
		_, err := store.Open(t.Context(), store.Options{URL: c.url, DataKeys: [][]byte{make([]byte, 32)}, Create: true})
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Open error = %v, want %s", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&pq.Error{Code: "28P01", Message: "password authentication failed for xyzzy"}, "PostgreSQL error 28P01: invalid_password: user or password is wrong"},
		{pq.ErrSSLNotSupported, "pq: SSL is not enabled on the server: set up TLS on the server, or write sslmode=disable if clear text is meant"},
		{&tls.CertificateVerificationError{Err: errors.New("unknown")}, "tls: failed to verify certificate: unknown: call the server by the name in its certificate, and name the authority's file, if it is not a public one, with sslrootcert=FILE"},
	} {
		if got := store.Describe(c.err); got != c.want {
			t.Errorf("Describe(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}
