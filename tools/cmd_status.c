#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "rows.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet status: the tree of sites. */

static struct status {
    bool down;
} status;

struct head {
    uint64_t view;
    uint64_t alive;
    uint64_t for_ms; /* since the last change of state that is seen here */
};

enum { STATUS_CELL_BYTES = 160 };

static bool hidden(const struct site_row *row)
{
    return status.down && strcmp(row->state, "alive") == 0;
}

/* Cells of a line, one behind the other. */
struct cells {
    struct libscols_line *line;
    size_t at;
};

static void cell(struct cells *c, const char *text)
{
    CHECK(scols_line_set_data(c->line, c->at++, text) == 0);
}

static bool shows_age(void)
{
    return options.verbose > 0 || status.down;
}

static bool shows_all(void)
{
    return options.verbose > 1;
}

static void put_site(struct libscols_table *out, struct libscols_line *top,
                     const struct site_row *row)
{
    char text[STATUS_CELL_BYTES];
    char age[UNIT_TEXT_MAX];
    struct cells c = {.line = scols_table_new_line(out, top)};

    CHECK(c.line != NULL);
    cell(&c, row->name);
    cell(&c, row->state);
    if (shows_age()) {
        snprintf(text, sizeof text, "for %s",
                 row->since_ms == CELL_NONE ? "-"
                                            : unit_age_ms(row->since_ms, age));
        cell(&c, text);
    }
    cell(&c, row->address);
    if (shows_all()) {
        snprintf(text, sizeof text, "incarnation %" PRIu64, row->incarnation);
        cell(&c, row->incarnation == CELL_NONE ? "" : text);
        snprintf(text, sizeof text, "rtt %s",
                 row->rtt_ns == CELL_NONE ? "-" : unit_ns(row->rtt_ns, age));
        cell(&c, row->is_self ? "" : text);
    }
    cell(&c, row->is_self ? "(you are here)"
                          : (row->note == NULL ? "" : row->note));
}

static void put_head(struct libscols_line *top, const char *cluster,
                     const struct site_rows *rows, const struct head *h)
{
    struct cells c = {.line = top};
    char text[STATUS_CELL_BYTES];
    char age[UNIT_TEXT_MAX];

    cell(&c, cluster);
    cell(&c, h->alive == rows->count ? "full" : "degraded");
    if (shows_age()) {
        snprintf(text, sizeof text, "for %s", unit_age_ms(h->for_ms, age));
        cell(&c, text);
    }
    snprintf(text, sizeof text, "%" PRIu64 " of %zu alive", h->alive,
             rows->count);
    cell(&c, text);
    if (shows_all()) {
        snprintf(text, sizeof text, "view %" PRIx64, h->view);
        cell(&c, text);
    }
}

static bool print_tree(const char *cluster, const struct site_rows *rows,
                       const struct head *h)
{
    struct libscols_table *out = scols_new_table();
    int columns = 4 + (shows_age() ? 1 : 0) + (shows_all() ? 2 : 0);

    CHECK(out != NULL);
    scols_table_enable_noheadings(out, 1);
    scols_table_enable_nowrap(out, 1);
    scols_table_set_column_separator(out, "  ");
    for (int i = 0; i < columns; i++) {
        CHECK(scols_table_new_column(out, "", 0, i == 0 ? SCOLS_FL_TREE : 0) !=
              NULL);
    }
    struct libscols_line *top = scols_table_new_line(out, NULL);
    CHECK(top != NULL);
    put_head(top, cluster, rows, h);
    for (size_t i = 0; i < rows->count; i++) {
        if (!hidden(&rows->rows[i])) {
            put_site(out, top, &rows->rows[i]);
        }
    }
    int failed = scols_print_table(out);
    scols_unref_table(out);
    return failed == 0;
}

static bool print_json(const struct site_rows *rows, const struct head *h)
{
    json_t *items = json_array();
    char view[20];

    for (size_t i = 0; i < rows->count; i++) {
        if (!hidden(&rows->rows[i])) {
            struct table t = site_rows_table(rows);
            CHECK(json_array_append_new(items, table_row_json(&t, i)) == 0);
        }
    }
    snprintf(view, sizeof view, "%016" PRIx64, h->view);
    return table_json("motet.status/1",
                      json_pack("{s:s,s:s,s:I,s:I,s:o}", "state",
                                h->alive == rows->count ? "full" : "degraded",
                                "view", view, "alive", (json_int_t)h->alive,
                                "sites", (json_int_t)rows->count, "items",
                                items));
}

static enum exit_code get_head(struct client *c, const struct site_rows *rows,
                               struct head *h)
{
    Motet__ControlReply *reply;
    const struct motet_ui first = {0, 0};
    enum motet_err err = control_ask(c, 0, MOTET__CONTROL_REQUEST__OP__STATUS,
                                     first, NULL, &reply);

    if (err != MOTET_OK) {
        return control_failed(c, c->at->name, err);
    }
    *h = (struct head){.for_ms = UINT64_MAX};
    if (reply->site != NULL) {
        h->view = reply->site->members_view;
    }
    motet__control_reply__free_unpacked(reply, NULL);
    for (size_t i = 0; i < rows->count; i++) {
        const struct site_row *row = &rows->rows[i];
        h->alive += strcmp(row->state, "alive") == 0 ? 1 : 0;
        h->for_ms = row->since_ms < h->for_ms ? row->since_ms : h->for_ms;
    }
    return EXIT_DONE;
}

static enum exit_code status_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct site_rows rows;
    struct head h = {0};
    (void)args;
    (void)count;

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = site_rows_get(&c, &rows);
    if (code == EXIT_DONE) {
        code = get_head(&c, &rows, &h);
        if (code != EXIT_DONE) {
            site_rows_free(&rows);
        }
    }
    if (code == EXIT_DONE) {
        bool json = options.output >= OUTPUT_JSON;
        bool ok =
            json ? print_json(&rows, &h) : print_tree(cluster.name, &rows, &h);
        code = ok ? EXIT_DONE : EXIT_FAILED;
        site_rows_free(&rows);
    }
    client_leave(&c);
    return code;
}

static const struct flag flags[] = {
    {"down", 0, NULL, FLAG_SWITCH, offsetof(struct status, down),
     "only sites that are not alive"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_status = {
    .name = "status",
    .args = "",
    .flags = flags,
    .into = &status,
    .run = status_run,
    .summary = "the sites; -v since when, -vv round trips; --down",
    .examples = "  motet status -v\n  motet status --down --json\n",
    .exits = "0 2 3 5 7 77 124",
};
