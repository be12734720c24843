#include "rows.h"
#include "say.h"
#include "verbs.h"

/* motet site list. */

static enum exit_code list_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct site_rows rows;
    (void)args;
    (void)count;

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = site_rows_get(&c, &rows);
    if (code == EXIT_DONE) {
        site_rows_fill(&c, &rows);
        struct table t = site_rows_table(&rows);
        code = table_print(&t) ? EXIT_DONE : EXIT_FAILED;
        site_rows_free(&rows);
    }
    client_leave(&c);
    return code;
}

const struct verb verb_site_list = {
    .name = "site list",
    .args = "",
    .run = list_run,
    .summary = "the sites with their counters",
    .examples = "  motet site list\n  motet site list -o wide\n",
    .exits = "0 2 3 5 7 77 124",
};
