#include <string.h>

#include "rows.h"
#include "say.h"
#include "verbs.h"

/* motet port list, motet port info. */

static void tell_mute(const struct port_rows *rows)
{
    if (rows->sites_mute > 0) {
        say("  %zu site%s did not answer: their ports are not in the list",
            rows->sites_mute, rows->sites_mute == 1 ? "" : "s");
    }
}

static enum exit_code list_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct port_rows rows;

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = port_rows_get(&c, count > 0 ? args[0] : NULL, &rows);
    if (code == EXIT_DONE) {
        struct table t = port_rows_table(&rows);
        code = table_print(&t) ? EXIT_DONE : EXIT_FAILED;
        tell_mute(&rows);
        port_rows_free(&rows);
    }
    client_leave(&c);
    return code;
}

/* The port with that name or UI; -1 if there is none, -2 if there are several,
 * -1 and -2 are told. */
static int find(const struct port_rows *rows, const char *name)
{
    const char *names[256];
    size_t n = 0;
    int found = -1;

    for (size_t i = 0; i < rows->count; i++) {
        const struct port_row *row = &rows->rows[i];
        if (strcmp(row->name, name) == 0 || strcmp(row->ui, name) == 0) {
            if (found >= 0) {
                say_error("several ports have this name");
                say_hint("say which by its UI: motet port list -o wide");
                return -2;
            }
            found = (int)i;
        }
        if (n < ARRAY_LEN(names)) {
            names[n++] = row->name;
        }
    }
    if (found < 0) {
        say_error("no such port");
        const char *near = say_nearest(name, names, n);
        if (near != NULL) {
            say_hint("did you mean: %s", near);
        }
        say_hint("list them: motet port list");
    }
    return found;
}

static enum exit_code info_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct port_rows rows;
    (void)count;

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = port_rows_get(&c, NULL, &rows);
    if (code == EXIT_DONE) {
        int at = find(&rows, args[0]);
        if (at >= 0) {
            struct table t = port_rows_table(&rows);
            t.schema = "motet.port.info/1";
            code = table_card(&t, (size_t)at) ? EXIT_DONE : EXIT_FAILED;
        } else {
            code = at == -1 ? EXIT_MISSING : EXIT_USAGE;
        }
        port_rows_free(&rows);
    }
    client_leave(&c);
    return code;
}

const struct verb verb_port_list = {
    .name = "port list",
    .args = "[SITE]",
    .args_max = 1,
    .run = list_run,
    .summary = "the ports of all sites, or of one",
    .examples = "  motet port list\n  motet port list site2 --json\n",
    .exits = "0 2 3 5 7 77 124",
};

const struct verb verb_port_info = {
    .name = "port info",
    .args = "NAME|UI",
    .args_min = 1,
    .args_max = 1,
    .run = info_run,
    .summary = "all about one port",
    .examples = "  motet port info counter\n",
    .exits = "0 2 3 5 7 77 124",
};
