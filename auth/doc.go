// Package auth says who you are: it makes and checks tokens and one-time codes,
// hashes passwords, and judges whether a password or a secret key is good
// enough.
//
// The package is pure. It knows no database and no HTTP, it has no clock (the
// caller passes the time) and keeps no global state that changes. Its only
// source of surprise is crypto/rand, for the salts of passwords.
//
// It promises:
//
//   - Each kind of token is signed with a key of its own, derived from the
//     secret key ([Key]). What is signed for one purpose proves nothing for
//     another.
//   - [Tokens.Parse] accepts what the holder of that key signed and nothing
//     else. The MAC is checked first, in constant time; whatever is wrong,
//     the error is [ErrToken]. A token has one spelling. That its session is
//     still alive is for the caller to ask.
//   - [Hasher.Verify] costs one hash whether the account exists or not, and
//     no more hashes run at once than the [Hasher] was given slots. Where they
//     are computed is the caller's choice ([Hasher.ComputeApart]).
//   - A one-time code is six digits, good for its own step of time and one
//     either side ([TOTPStep]). That none is used twice is for the caller to
//     see to, who keeps the last step.
//   - A password is compared whole and byte for byte: never trimmed, cut,
//     folded or normalized. Only the judgement of [CheckPassword] looks past
//     case and spelling.
//   - No error of this package holds any part of a password, token, code or key.
package auth
