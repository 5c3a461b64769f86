package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"os"
	"strings"
	"unicode"
)

// password derives the password of an account from a seed: 32 lower-case
// letters and digits, 160 bits of HMAC-SHA256. A draw that happens to hold a
// part of the user name, mail address or name is passed over, because the
// service refuses a password that resembles them.
func password(seed string, a *account) string {
	for draw := uint32(0); ; draw++ {
		mac := hmac.New(sha256.New, []byte(seed))
		mac.Write(binary.BigEndian.AppendUint32(nil, draw))
		mac.Write([]byte(a.Username))
		text := strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)[:20]))
		if !resembles(text, a.Username, a.Email, a.FirstName, a.LastName) {
			return text
		}
	}
}

// resembles tells whether the text holds a word of three or more characters
// of one of the names.
func resembles(text string, names ...string) bool {
	apart := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for _, name := range names {
		for _, word := range strings.FieldsFunc(strings.ToLower(name), apart) {
			if len([]rune(word)) >= 3 && strings.Contains(text, word) {
				return true
			}
		}
	}
	return false
}

// givePasswords derives the password of every account and, where file is not
// "", writes them there as JSON Lines, readable by the owner alone. A file
// that exists is not touched: it may be the only way into another practice.
func givePasswords(p *practice, seed, file string) error {
	for _, a := range p.accounts() {
		a.password = password(seed, a)
	}
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	enc := json.NewEncoder(out)
	for _, a := range p.accounts() {
		line := struct {
			Username string `json:"username"`
			Password string `json:"password"`
		}{a.Username, a.password}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// accounts lists everyone who signs in: the doctors, then the patients.
func (p *practice) accounts() []*account {
	var all []*account
	for _, d := range p.doctors {
		all = append(all, &d.account)
	}
	for _, a := range p.patients {
		all = append(all, &a.account)
	}
	return all
}
