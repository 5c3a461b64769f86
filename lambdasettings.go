package main

// checkLambda notes what AWS Lambda needs beyond what a server does: no file
// stays there, and no default name is right.
func (s *settings) checkLambda(e *environment) {
	s.AuditCheckpoints = ""
	if !e.set("DATABASE_MAX_CONNECTIONS") {
		s.DatabaseMaxConnections = 2 * e.integer("AWS_LAMBDA_MAX_CONCURRENCY", 1, 1, 500)
	}
	if s.SQLitePath != "" && !e.mistaken("DATABASE_URL") {
		e.mistake("DATABASE_URL", "must be postgres://user:password@host:port/database on AWS Lambda: a local database is lost with the environment")
	}
	if !e.set("SECRET_KEY", "SECRET_KEY_FILE") {
		e.mistake("SECRET_KEY", "is needed on AWS Lambda, where no key file stays; make one with: openssl rand -base64 48")
	}
	if !e.set("DATA_KEY", "DATA_KEY_FILE") {
		e.mistake("DATA_KEY", "is needed on AWS Lambda, where no key file stays; make one, for good, with: openssl rand -base64 32")
	}
	if !e.set("ALLOWED_HOSTS") {
		e.mistake("ALLOWED_HOSTS", "is needed on AWS Lambda; write the API's host name, or .execute-api.REGION.amazonaws.com")
	}
	if e.set("EMAIL_HOST") && !e.set("PUBLIC_URL") {
		e.mistake("PUBLIC_URL", "is needed on AWS Lambda beside EMAIL_HOST; write the address that mails point to")
	}
}
