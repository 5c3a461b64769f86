package handlers

import (
	"net/http"

	"healthrecords/store"
)

// SealCursor and OpenCursor are what the lists of a handler do with their
// cursors.
func SealCursor(h http.Handler, at store.Position, list []byte) string {
	return h.(*api).sealCursor(at, list)
}

func OpenCursor(h http.Handler, text string, list []byte) (*store.Position, error) {
	return h.(*api).openCursor(text, list)
}
