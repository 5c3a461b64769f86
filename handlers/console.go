package handlers

import (
	"net/http"

	"healthrecords/console"
)

// registerConsole binds the pages of the console, each under its own path. They
// are the same for everybody and hold nothing of the practice: what they show,
// they ask of the API.
func (a *api) registerConsole() {
	for _, file := range console.Files() {
		show := func(_ *api, r *request) (answer, error) {
			h := r.w.Header()
			h.Set("Cache-Control", "no-store")
			h.Set("Content-Type", file.Type)
			h.Set("Content-Security-Policy", console.Policy)
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			return answer{status: http.StatusOK, body: file.Body}, nil
		}
		a.register(file.Path, map[string]*route{"GET": {method: "GET", path: file.Path, access: ignoreToken, handle: show}})
	}
}
