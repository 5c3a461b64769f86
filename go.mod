module healthrecords

go 1.26.0

require (
	github.com/aws/aws-lambda-go v1.55.1
	github.com/mattn/go-sqlite3 v1.14.53
	golang.org/x/crypto v0.59.0
	golang.org/x/sys v0.50.0
)

require github.com/lib/pq v1.12.3
