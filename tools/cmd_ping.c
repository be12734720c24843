#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "nucleus/base/ui.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet ping: round trips through the data path, to the control port of a site
 * and back; with --all from every site to every other. */

enum { PINGS_DEFAULT = 3, PINGS_MAX = 1000, BODY_BYTES = 56 };

static struct ping {
    bool all;
    uint64_t count;
} ping = {.count = PINGS_DEFAULT};

struct ping_row {
    char from[MOTET_NAME_MAX + 1];
    char to[MOTET_NAME_MAX + 1];
    uint64_t sent;
    uint64_t received;
    uint64_t min_ns;
    uint64_t median_ns;
    uint64_t max_ns;
    char note[96];
};

struct ping_rows {
    struct ping_row *rows;
    size_t count;
};

static const struct column columns[] = {
    COLUMN(struct ping_row, "FROM", "from", CELL_CHARS, SHOW_ALWAYS, from),
    COLUMN(struct ping_row, "TO", "to", CELL_CHARS, SHOW_ALWAYS, to),
    COLUMN(struct ping_row, "SENT", "sent", CELL_NUMBER, SHOW_ALWAYS, sent),
    COLUMN(struct ping_row, "RECEIVED", "received", CELL_NUMBER, SHOW_ALWAYS,
           received),
    COLUMN(struct ping_row, "MIN", "min_ns", CELL_NS, SHOW_ALWAYS, min_ns),
    COLUMN(struct ping_row, "MEDIAN", "median_ns", CELL_NS, SHOW_ALWAYS,
           median_ns),
    COLUMN(struct ping_row, "MAX", "max_ns", CELL_NS, SHOW_ALWAYS, max_ns),
    COLUMN(struct ping_row, "NOTE", "note", CELL_CHARS, SHOW_ALWAYS, note),
};

static struct ping_row *add_row(struct ping_rows *rows, const char *from,
                                const char *to)
{
    struct ping_row *more =
        realloc(rows->rows, (rows->count + 1) * sizeof *more);

    CHECK(more != NULL);
    rows->rows = more;
    struct ping_row *row = &rows->rows[rows->count++];
    *row = (struct ping_row){
        .min_ns = CELL_NONE, .median_ns = CELL_NONE, .max_ns = CELL_NONE};
    snprintf(row->from, sizeof row->from, "%s", from);
    snprintf(row->to, sizeof row->to, "%s", to);
    return row;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x;
    uint64_t y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* One PING, checked to come back as it went. */
static enum motet_err once(struct client *c, uint64_t site, uint64_t *took_ns)
{
    uint8_t body[BODY_BYTES];
    Motet__ControlReply *reply;
    uint64_t from = clock_ns();

    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (uint8_t)(i + (from >> 10));
    }
    enum motet_err err = control_ping(c, site, body, sizeof body, &reply);
    *took_ns = clock_ns() - from;
    if (err != MOTET_OK) {
        return err;
    }
    bool same = reply->has_body && reply->body.len == sizeof body &&
                memcmp(reply->body.data, body, sizeof body) == 0;
    motet__control_reply__free_unpacked(reply, NULL);
    return same ? MOTET_OK : MOTET_E_PROTOCOL;
}

static void ping_site(struct client *c, uint64_t site, struct ping_row *row)
{
    uint64_t times[PINGS_MAX];
    enum motet_err err = MOTET_OK;

    /* After the first loss the others would only cost their deadlines. */
    for (; row->sent < ping.count && err == MOTET_OK; row->sent++) {
        err = once(c, site, &times[row->received]);
        row->received += err == MOTET_OK ? 1 : 0;
    }
    if (err != MOTET_OK) {
        snprintf(row->note, sizeof row->note, "%s", motet_err_text(err));
    }
    if (row->received > 0) {
        qsort(times, row->received, sizeof times[0], by_size);
        row->min_ns = times[0];
        row->median_ns = times[row->received / 2];
        row->max_ns = times[row->received - 1];
    }
}

/* From the site attached to, to `to` or (NULL) all the living. */
static enum exit_code ping_from(struct client *c, const char *to,
                                struct ping_rows *rows)
{
    struct site_names names;
    enum exit_code code = site_names_get(c, &names);

    if (code != EXIT_DONE) {
        return code;
    }
    if (to != NULL && site_names_told(&names, to) == NULL) {
        code = EXIT_MISSING;
    }
    for (size_t i = 0; i < names.count && code == EXIT_DONE; i++) {
        const struct site_name *s = &names.sites[i];
        bool meant = to == NULL
                         ? strcmp(site_state_text(s->state), "alive") == 0 &&
                               !(ping.all && s->is_self)
                         : strcmp(s->name, to) == 0;
        if (meant) {
            ping_site(c, s->id, add_row(rows, c->at->name, s->name));
        }
    }
    site_names_free(&names);
    return code;
}

static enum exit_code ping_all(struct cluster *cluster, struct ping_rows *rows)
{
    for (size_t i = 0; i < cluster->count; i++) {
        struct site_files *s = &cluster->sites[i];
        struct client c = {.cluster = cluster};
        if (!s->running) {
            continue;
        }
        enum motet_err err = client_attach(&c, s);
        if (err != MOTET_OK) {
            struct ping_row *row = add_row(rows, s->name, "*");
            row->sent = 1;
            snprintf(row->note, sizeof row->note, "cannot attach: %s",
                     motet_err_text(err));
            continue;
        }
        enum exit_code code = ping_from(&c, NULL, rows);
        client_close(&c);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    return EXIT_DONE;
}

static enum exit_code report(const struct ping_rows *rows)
{
    const struct table t = {
        .schema = "motet.ping/1",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = rows->rows,
        .row_bytes = sizeof *rows->rows,
        .row_count = rows->count,
        .none = "nobody to ping",
    };
    uint64_t sent = 0;
    uint64_t received = 0;

    if (!table_print(&t)) {
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < rows->count; i++) {
        sent += rows->rows[i].sent;
        received += rows->rows[i].received;
    }
    if (sent > 0) {
        say("%llu%% dropped (%llu of %llu came back)",
            (unsigned long long)((sent - received) * 100 / sent),
            (unsigned long long)received, (unsigned long long)sent);
    }
    return received == sent ? EXIT_DONE : EXIT_MAYBE;
}

static enum exit_code ping_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct ping_rows rows = {0};
    enum exit_code code;

    if (ping.count == 0 || ping.count > PINGS_MAX) {
        return say_fail(EXIT_USAGE, "--count: 1 to %d", PINGS_MAX);
    }
    if (ping.all) {
        code = cluster_choose(&cluster, false);
        if (code == EXIT_DONE) {
            code = ping_all(&cluster, &rows);
            cluster_close(&cluster);
        }
    } else {
        code = client_open(&c, &cluster);
        if (code == EXIT_DONE) {
            code = ping_from(&c, count > 0 ? args[0] : NULL, &rows);
            client_leave(&c);
        }
    }
    if (code == EXIT_DONE) {
        code = report(&rows);
    }
    free(rows.rows);
    return code;
}

static const struct flag flags[] = {
    {"all", 'a', NULL, FLAG_SWITCH, offsetof(struct ping, all),
     "from every site to every other"},
    {"count", 'n', "N", FLAG_COUNT, offsetof(struct ping, count),
     "round trips each (3)"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_ping = {
    .name = "ping",
    .args = "[SITE]",
    .args_max = 1,
    .flags = flags,
    .into = &ping,
    .run = ping_run,
    .summary = "round trips through the data path; --all: every direction",
    .examples = "  motet ping site2\n  motet ping --all\n",
    .exits = "0 2 3 5 7 77 124",
};
