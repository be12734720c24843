#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

static const struct site_row empty = {
    .id = CELL_NONE,
    .incarnation = CELL_NONE,
    .pid = CELL_NONE,
    .since_ms = CELL_NONE,
    .rtt_ns = CELL_NONE,
    .ports = CELL_NONE,
    .sent = CELL_NONE,
    .delivered = CELL_NONE,
    .refused = CELL_NONE,
    .maybe = CELL_NONE,
    .lost = CELL_NONE,
    .memory_bytes = CELL_NONE,
    .view = CELL_NONE,
    .records = CELL_NONE,
};

/* What the files of the cluster add to what the members say. */
static void add_files(const struct client *c, struct site_row *row)
{
    const struct site_files *files = cluster_site(c->cluster, row->name);

    if (files == NULL) {
        return;
    }
    if (!files->running) {
        row->note = "no process";
        return;
    }
    row->pid = (uint64_t)files->process.pid;
    if (files->process.stopped) {
        row->note = "paused";
    }
}

static void from_member(const struct client *c, const struct site_name *n,
                        struct site_row *row)
{
    *row = empty;
    memcpy(row->name, n->name, sizeof row->name);
    memcpy(row->address, n->address, sizeof row->address);
    row->state = site_state_text(n->state);
    row->id = n->id;
    row->incarnation = n->incarnation;
    row->since_ms = n->since_ms;
    row->rtt_ns = n->rtt_ns;
    row->is_self = n->is_self;
    add_files(c, row);
}

/* A site does not watch itself: it is alive since it began. */
static uint64_t uptime_of_self(struct client *c)
{
    Motet__ControlReply *reply;
    const struct motet_ui first = {0, 0};
    uint64_t ms = CELL_NONE;

    if (control_ask(c, 0, MOTET__CONTROL_REQUEST__OP__STATUS, first, NULL,
                    &reply) == MOTET_OK) {
        ms = reply->site == NULL ? CELL_NONE : reply->site->uptime_ms;
        motet__control_reply__free_unpacked(reply, NULL);
    }
    return ms;
}

static int by_name(const void *a, const void *b)
{
    const struct site_row *x = a;
    const struct site_row *y = b;

    return strverscmp(x->name, y->name);
}

enum exit_code site_rows_get(struct client *c, struct site_rows *rows)
{
    struct site_names names;
    enum exit_code code = site_names_get(c, &names);

    if (code != EXIT_DONE) {
        return code;
    }
    rows->count = 0;
    rows->rows =
        calloc(names.count + c->cluster->count + 1, sizeof *rows->rows);
    CHECK(rows->rows != NULL);
    uint64_t uptime_ms = uptime_of_self(c);
    for (size_t i = 0; i < names.count; i++) {
        if (names.sites[i].is_self) {
            names.sites[i].since_ms = uptime_ms;
        }
        from_member(c, &names.sites[i], &rows->rows[rows->count++]);
    }
    for (size_t i = 0; i < c->cluster->count; i++) {
        const struct site_files *files = &c->cluster->sites[i];
        if (site_names_by_name(&names, files->name) == NULL) {
            struct site_row *row = &rows->rows[rows->count++];
            *row = empty;
            row->state = "down";
            memcpy(row->name, files->name, sizeof row->name);
            memcpy(row->address, files->address, sizeof row->address);
            add_files(c, row);
        }
    }
    qsort(rows->rows, rows->count, sizeof *rows->rows, by_name);
    site_names_free(&names);
    return EXIT_DONE;
}

void site_rows_free(struct site_rows *rows)
{
    free(rows->rows);
    rows->rows = NULL;
}

static void fill(struct client *c, struct site_row *row)
{
    Motet__ControlReply *reply;
    const struct motet_ui first = {0, 0};

    if (control_ask(c, row->id, MOTET__CONTROL_REQUEST__OP__STATUS, first, NULL,
                    &reply) != MOTET_OK) {
        row->note = row->note == NULL ? "does not answer" : row->note;
        return;
    }
    const Motet__ControlSite *s = reply->site;
    if (s != NULL) {
        row->ports = s->ports;
        row->sent = s->sent;
        row->delivered = s->delivered;
        row->refused = s->refused;
        row->maybe = s->maybe;
        row->lost = s->lost;
        row->memory_bytes = s->memory_bytes;
        row->view = s->members_view;
        row->records = s->has_records ? s->records : CELL_NONE;
    }
    motet__control_reply__free_unpacked(reply, NULL);
}

void site_rows_fill(struct client *c, struct site_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->rows[i].state, "alive") == 0) {
            fill(c, &rows->rows[i]);
        }
    }
}

#define SITE(head, key, kind, show, field) \
    COLUMN(struct site_row, head, key, kind, show, field)
static const struct column columns[] = {
    SITE("NAME", "name", CELL_CHARS, SHOW_ALWAYS, name),
    SITE("STATE", "state", CELL_TEXT, SHOW_ALWAYS, state),
    SITE("ADDRESS", "address", CELL_CHARS, SHOW_ALWAYS, address),
    SITE("PID", "pid", CELL_NUMBER, SHOW_ALWAYS, pid),
    SITE("PORTS", "ports", CELL_NUMBER, SHOW_ALWAYS, ports),
    SITE("SENT", "sent", CELL_NUMBER, SHOW_ALWAYS, sent),
    SITE("DELIVERED", "delivered", CELL_NUMBER, SHOW_ALWAYS, delivered),
    SITE("REFUSED", "refused", CELL_NUMBER, SHOW_WIDE, refused),
    SITE("UNKNOWN", "unknown", CELL_NUMBER, SHOW_WIDE, maybe),
    SITE("LOST", "lost", CELL_NUMBER, SHOW_ALWAYS, lost),
    SITE("RTT", "rtt_ns", CELL_NS, SHOW_ALWAYS, rtt_ns),
    SITE("SINCE", "since_ms", CELL_MS, SHOW_ALWAYS, since_ms),
    SITE("MEMORY", "memory_bytes", CELL_BYTES, SHOW_WIDE, memory_bytes),
    SITE("RECORDS", "records", CELL_NUMBER, SHOW_WIDE, records),
    SITE("ID", "id", CELL_ID, SHOW_WIDE, id),
    SITE("INCARNATION", "incarnation", CELL_NUMBER, SHOW_WIDE, incarnation),
    SITE("VIEW", "view", CELL_ID, SHOW_WIDE, view),
    SITE("HERE", "here", CELL_BOOL, SHOW_JSON, is_self),
    SITE("NOTE", "note", CELL_TEXT, SHOW_ALWAYS, note),
};
#undef SITE

struct table site_rows_table(const struct site_rows *rows)
{
    return (struct table){
        .schema = "motet.site.list/1",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = rows->rows,
        .row_bytes = sizeof *rows->rows,
        .row_count = rows->count,
        .none = "no sites",
    };
}
