package store_test

import (
	"net/url"
	"strings"
	"testing"

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
