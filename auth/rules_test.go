package auth_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"healthrecords/auth"
)

const (
	tooShort    = "This password is too short. It must contain at least 15 characters."
	tooLong     = "Ensure this field has no more than 1024 characters."
	tooCommon   = "This password is too common."
	likeUser    = "The password is too similar to the username."
	likeEmail   = "The password is too similar to the email address."
	likeFirst   = "The password is too similar to the first name."
	likeLast    = "The password is too similar to the last name."
	onlyNumbers = "This password is entirely numeric."
)

var ada = auth.Person{Username: "countess1815", Email: "ada.byron@example.org", FirstName: "Philippa", LastName: "Müller-King"}

func checkPassword(t *testing.T, password string, who auth.Person, want ...string) {
	t.Helper()
	if got := auth.CheckPassword(password, 15, who); !slices.Equal(got, want) {
		t.Errorf("CheckPassword(%q) = %q, want %q", password, got, want)
	}
}

func TestGoodPasswordsPass(t *testing.T) {
	for _, password := range []string{
		"violet tram eats seven maps",
		"VioletTramEatsSevenMaps",
		"purple monkey dishwasher",
		"my password is a violet tram",
		"sunny-Meadow-42-kite",
		"a-long-enough-phrase-1",
		"kX9#mQ2v!tR7&pL4",
		"q7wzkd3nvx9bmr5t",
		"8302-7491-6305-2219",
		"trams   trams eat seven maps",
		"фиолетовый трамвай ест карты",
		"紫色の路面電車は地図を七枚食べるのだ",
		"🚋🗺️🍇🎻🪁🧭🛶🎈🧵🪵🦉🌋🎲🧲🪐",
		"  violet tram  ",
		strings.Repeat("violet tram eats seven maps ", 36),
	} {
		checkPassword(t, password, ada)
	}
}

// Ordinary words, four in any order and choice, are a good password.
func TestPassphrasesPass(t *testing.T) {
	words := strings.Fields("violet tram eats seven maps barometer corporal window kettle granite lantern saddle thistle harbour velvet " +
		"walnut ladder copper meadow ribbon anchor basket cradle feather glacier hollow island jacket mirror needle orchard pebble quarry " +
		"river school timber umbrella valley whistle yonder zipper bread cloud dairy eager frost gravel humble ivory juniper")
	r := rand.New(rand.NewPCG(1, 2)) // the same in every run
	for range 200 {
		r.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		for _, separator := range []string{" ", "-", ""} {
			checkPassword(t, strings.Join(words[:4], separator)+"....", ada)
		}
	}
}

func TestRandomPasswordsPass(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4)) // the same in every run
	for _, alphabet := range []string{base64URL[:62], base64URL[26:52], base64URL + "!#$%&()*+./:;<=>?@[]^{|}~"} {
		for range 200 {
			password := make([]byte, 15)
			for i := range password {
				password[i] = alphabet[r.IntN(len(alphabet))]
			}
			checkPassword(t, string(password), ada)
		}
	}
}

func TestCommonPasswords(t *testing.T) {
	for _, password := range []string{
		"correct horse battery staple", "CorrectHorseBatteryStaple", "Correct-Horse-Battery-Staple-1",
		"passwordpassword", "PasswordPassword", "p a s s w o r d 1 2 3", "password1234567", "123456password!", "!!!password2024!!!",
		"P@ssw0rd!P@ssw0rd!", "Pa$$w0rd12345678", "pa5sword-19900203", "l3tm31n-l3tm31n", "1l0vey0u-1l0vey0u", "!loveyou!loveyou",
		"qwertyuiopasdfgh", "qwertyuiop123456", "lkjhgfdsapoiuytrewq", "qwertzuiopasdfg", "azertyuiopqsdfgh", "1qaz2wsx3edc4rfv",
		"zaq1xsw2cde3vfr4", "1q2w3e4r5t6y7u8i", "йцукенгшщзхъфывапр",
		"abcdefghijklmnop", "ponmlkjihgfedcba", "uvwxyzabcdefghi", "fedcba9876543210", "abcd1234efgh5678",
		"abcabcabcabcabc", "aaaaaaaaaaaaaaa", "ababababababababa", "Zx9!Zx9!Zx9!Zx9!", "violet violet violet", "ééééééééééééééé",
		"passwordqwertyletmein", "PasswordQwertyLetmein", "password qwerty letmein", "monkeydragonsunshineprincess", "iloveyouforever123",
		"administrator123", "welcome-summer-2024", "mypasswordmypassword", "password!!!!!!!!!!!!!", "hospital-doctor-1", "ﬁpassword1234567"[len("ﬁ"):],
		"PASSWORD\u212aqwerty", // a Kelvin sign, which folds to k
	} {
		checkPassword(t, password, auth.Person{}, tooCommon)
	}
}

func TestEveryWordOnTheListIsCommon(t *testing.T) {
	list, err := os.ReadFile("common.txt")
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(list))
	if !slices.IsSorted(words) || len(slices.Compact(slices.Clone(words))) != len(words) {
		t.Error("common.txt is not sorted or has a word twice")
	}
	for _, word := range words {
		for _, password := range []string{strings.ToUpper(word) + "!", "xyz" + word} {
			if !slices.Contains(auth.CheckPassword(password, 8, auth.Person{}), tooCommon) {
				t.Errorf("CheckPassword(%q) does not say %q", password, tooCommon)
			}
		}
	}
}

func TestPasswordLengthIsInCodePoints(t *testing.T) {
	checkPassword(t, "éàüöçñãâêîôûëï", ada, tooShort) // 14, and 28 bytes
	checkPassword(t, "éàüöçñãâêîôûëïÿ", ada)
	checkPassword(t, "tram eats maps", ada, tooShort)
	checkPassword(t, "tram eats maps ", ada) // not trimmed
	checkPassword(t, "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5", auth.Person{}, tooShort, tooCommon)
	checkPassword(t, "", ada, tooShort)
	if got := auth.CheckPassword("tramsmap", 8, ada); len(got) != 0 {
		t.Errorf("CheckPassword of 8 with min 8 = %q, want none", got)
	}
	if got, want := auth.CheckPassword("tramsma", 8, ada), strings.Replace(tooShort, "15", "8", 1); !slices.Equal(got, []string{want}) {
		t.Errorf("CheckPassword of 7 with min 8 = %q, want %q", got, want)
	}
}

func TestPasswordHasAMaximum(t *testing.T) {
	long := strings.Repeat("violet tram eats seven maps éà. ", 40)
	most := string([]rune(long)[:1024])
	checkPassword(t, most, ada)
	checkPassword(t, most+"é", ada, tooLong)
	checkPassword(t, strings.Repeat("1", 1<<20), auth.Person{Username: "1111"}, tooLong)
}

func TestNumericPasswords(t *testing.T) {
	checkPassword(t, "830274916305227", ada, onlyNumbers)
	checkPassword(t, "83027491630522", ada, tooShort, onlyNumbers)
	checkPassword(t, "٨٣٠٢٧٤٩١٦٣٠٥٢٢٧", ada, onlyNumbers)
	checkPassword(t, "1234567890123456", ada, tooCommon, onlyNumbers)
	checkPassword(t, "8302749163052271 ", ada)
}

func TestSimilarPasswords(t *testing.T) {
	for _, test := range []struct {
		password string
		want     []string
	}{
		{"countess1815countess1815", []string{likeUser}},
		{"Countess1815-2024", []string{likeUser}},
		{"COUNTESS-countess", []string{likeUser}},
		{"c0unte$$1815!!!", []string{likeUser}},
		{"5181ssetnuoc!!!", []string{likeUser}},
		{"countess password", []string{likeUser}},
		{"cuontess1234567", []string{likeUser}}, // nearly
		{"countes18151815", []string{likeUser}},
		{"ada.byron@example.org", []string{likeEmail}},
		{"ADA.BYRON@EXAMPLE.ORG", []string{likeEmail}},
		{"ada.byron123456", []string{likeEmail}},
		{"adabyronadabyron", []string{likeEmail}},
		{"byron1815byron1", []string{likeEmail}},
		{"Philippa8302749", []string{likeFirst}},
		{"ph!l1pp@-aaaaaa", []string{likeFirst}},
		{"philipa-1234567", []string{likeFirst}},
		{"Müller-King-1815", []string{likeLast}},
		{"MÜLLER KING 1815", []string{likeLast}},
		{"müllerking!!!!!", []string{likeLast}},
		{"Müller's Müller", []string{likeLast}},
		{"PhilippaMüllerKing", []string{likeFirst, likeLast}},
		{"countess philippa!", []string{likeUser, likeFirst}},
		{"philippa ada.byron müller countess1815", []string{likeUser, likeEmail, likeFirst, likeLast}},
		// Enough is left.
		{"countess1815 eats seven maps", nil},
		{"Philippa rides a violet tram", nil},
		{"phantppa1830274", nil}, // half of it differs
		// Three letters of a name stand in many passwords, and another
		// normalization is another text.
		{"ada ada rides trams", nil},
		{"Mu\u0308ller-tram-eats", nil},
	} {
		checkPassword(t, test.password, ada, test.want...)
	}
}

func TestSimilarComparesCaseFolded(t *testing.T) {
	for _, test := range []struct{ name, password string }{
		{"Kelvin", "\u212aELVIN-12345678"},
		{"\u212aelvin", "kelvin-12345678"},
		{"\u017fi\u017fi", "SISI-1830274916"},
		{"Σίσυφος", "ΣΊΣΥΦΟΣ-1234567"},
		{"Дмитрий", "ДМИТРИЙ-1234567"},
	} {
		checkPassword(t, test.password, auth.Person{LastName: test.name}, likeLast)
	}
}

// The parts of these addresses are too short to count, the whole is not. An @
// is no a here.
func TestPasswordIsNoAddress(t *testing.T) {
	checkPassword(t, "adalov-83027491", auth.Person{Email: "ada.lov@example.org"}, likeEmail)
	checkPassword(t, "john@abc.org password", auth.Person{Email: "john@abc.org"}, likeEmail)
}

func TestShortAndEmptyNamesDoNotCount(t *testing.T) {
	who := auth.Person{Username: "tra", Email: "ma@ps.it", FirstName: "", LastName: "Ng"}
	checkPassword(t, "tra tra tra Ng ma", who)
	checkPassword(t, "violet tram maps", who)
	checkPassword(t, "violet tram eats", auth.Person{Username: "....", Email: "@", FirstName: "    ", LastName: "---"})
}

func TestMessagesComeInOrder(t *testing.T) {
	who := auth.Person{Username: "12345678", Email: "12345678@example.org", FirstName: "12345678", LastName: "12345678"}
	checkPassword(t, "12345678", who, tooShort, tooCommon, likeUser, likeEmail, likeFirst, likeLast, onlyNumbers)
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("violet tram eats seven maps", "countess1815", "ada@example.org")
	f.Add("passwordpassword", "", "")
	f.Add("\xff\xff@@!!", "@a", "\xff")
	f.Fuzz(func(t *testing.T, password, username, email string) {
		who := auth.Person{Username: username, Email: email, FirstName: username, LastName: email}
		problems := auth.CheckPassword(password, 15, who)
		n := utf8.RuneCountInString(password)
		if slices.Contains(problems, tooShort) != (n < 15) || slices.Contains(problems, tooLong) != (n > 1024) {
			t.Errorf("CheckPassword of %d code points = %q", n, problems)
		}
		if n > 1024 {
			return
		}
		// A user name of letters is no password, whatever it is.
		plain := strings.Trim(username, base64URL[:52]) == "" && len(username) >= 4
		if password == username && plain && !slices.Contains(problems, likeUser) {
			t.Errorf("CheckPassword(the user name) = %q, want %q", problems, likeUser)
		}
	})
}

func BenchmarkCheckPassword(b *testing.B) {
	for name, password := range map[string]string{
		"usual":   "violet tram eats seven maps",
		"longest": strings.Repeat("passwor", 146),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				auth.CheckPassword(password, 15, ada)
			}
		})
	}
}
