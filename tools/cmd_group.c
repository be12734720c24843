#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"
#include "say.h"
#include "verbs.h"

/* motet group list, motet group info. */

static enum exit_code list_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct group_rows rows;
    (void)args;
    (void)count;

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = group_rows_get(&c, &rows);
    if (code == EXIT_DONE) {
        struct table t = group_rows_table(&rows);
        code = table_print(&t) ? EXIT_DONE : EXIT_FAILED;
        group_rows_free(&rows);
    }
    client_leave(&c);
    return code;
}

struct member_row {
    char port[MOTET_UI_TEXT_MAX];
    char site[MOTET_NAME_MAX + 1];
    uint64_t site_id;
};

static const struct column columns[] = {
    COLUMN(struct member_row, "PORT", "port", CELL_CHARS, SHOW_ALWAYS, port),
    COLUMN(struct member_row, "SITE", "site", CELL_CHARS, SHOW_ALWAYS, site),
    COLUMN(struct member_row, "SITE ID", "site_id", CELL_ID, SHOW_WIDE,
           site_id),
};

static enum exit_code print_info(const struct group_row *g,
                                 const struct site_names *names)
{
    struct member_row *rows = calloc(g->list_count + 1, sizeof *rows);

    CHECK(rows != NULL);
    for (size_t i = 0; i < g->list_count; i++) {
        char text[32];
        (void)motet_ui_text(g->list[i].port, rows[i].port);
        rows[i].site_id = g->list[i].site;
        snprintf(rows[i].site, sizeof rows[i].site, "%s",
                 site_names_text(names, g->list[i].site, text));
    }
    struct table t = {
        .schema = "motet.group.info/1",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = rows,
        .row_bytes = sizeof *rows,
        .row_count = g->list_count,
        .none = "no members",
    };
    if (options.output < OUTPUT_JSON) {
        printf("%s   ui %s   %llu member%s\n", g->name, g->ui,
               (unsigned long long)g->members, g->members == 1 ? "" : "s");
    }
    bool ok = table_print(&t);
    free(rows);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

static enum exit_code no_group(const struct group_rows *rows, const char *name)
{
    const char *names[256];
    size_t n = 0;

    for (size_t i = 0; i < rows->count && n < ARRAY_LEN(names); i++) {
        names[n++] = rows->rows[i].name;
    }
    say_error("no such group");
    const char *near = say_nearest(name, names, n);
    if (near != NULL) {
        say_hint("did you mean: %s", near);
    }
    say_hint("list them: motet group list");
    return EXIT_MISSING;
}

static enum exit_code info_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct group_rows rows = {0};
    struct site_names names;
    (void)count;

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = site_names_get(&c, &names);
    if (code == EXIT_DONE) {
        code = group_rows_get(&c, &rows);
        if (code == EXIT_DONE) {
            const struct group_row *g = group_rows_find(&rows, args[0]);
            code = g == NULL ? no_group(&rows, args[0]) : print_info(g, &names);
            group_rows_free(&rows);
        }
        site_names_free(&names);
    }
    client_leave(&c);
    return code;
}

const struct verb verb_group_list = {
    .name = "group list",
    .args = "",
    .run = list_run,
    .summary = "the groups, which are the names of services",
    .examples = "  motet group list\n  motet group list --json\n",
    .exits = "0 2 3 5 7 77 124",
};

const struct verb verb_group_info = {
    .name = "group info",
    .args = "NAME|UI",
    .args_min = 1,
    .args_max = 1,
    .run = info_run,
    .summary = "the members of a group",
    .examples = "  motet group info echo\n",
    .exits = "0 2 3 5 7 77 124",
};
