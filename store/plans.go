package store

/*
#cgo linux LDFLAGS: -Wl,--unresolved-symbols=ignore-in-object-files
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup

// Of sqlite3.h, whose functions the driver's package brings.
struct sqlite3;
int sqlite3_db_config(struct sqlite3 *, int, ...);
int sqlite3_auto_extension(void (*)(void));
#define SQLITE_DBCONFIG_ENABLE_QPSG 1007

static int stablePlans(struct sqlite3 *db, char **message, const void *api) {
	return sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, (int *)0);
}

static int everywhere(void) { return sqlite3_auto_extension((void (*)(void))stablePlans); }
*/
import "C"

// SQLite plans a prepared statement anew when values are bound that might make
// another plan better, which with this driver is each time that it runs, and
// takes most of that time. The query planner stability guarantee
// (https://sqlite.org/queryplanner-ng.html, section 3) is to plan once.
func init() {
	if C.everywhere() != 0 {
		panic("SQLite takes no settings")
	}
}
