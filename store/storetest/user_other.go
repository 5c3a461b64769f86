//go:build !unix

package storetest

import (
	"errors"
	"os/exec"
)

func unprivileged(*exec.Cmd, string) error {
	return errors.New("a server can be started on Unix only; set TEST_DATABASE_URL")
}
