#include <inttypes.h>
#include <motet/supervisor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "rows.h"
#include "say.h"
#include "units.h"

enum { SLOW_MS = 1000 }; /* a message that waited longer: say so */

struct gathering {
    struct port_rows *rows;
    const char *site;
    uint64_t site_id;
    struct motet_ui own; /* of this program: not worth a line */
};

static void set_state(const Motet__ControlPort *p, struct port_row *row)
{
    char age[UNIT_TEXT_MAX];

    if (!p->enabled) {
        snprintf(row->state, sizeof row->state, "disabled");
    } else if (p->oldest_ms >= SLOW_MS) {
        snprintf(row->state, sizeof row->state,
                 "slow: %" PRIu32 " waiting for %s", p->queue_msgs,
                 unit_ns(p->oldest_ms * 1000000, age));
    } else {
        snprintf(row->state, sizeof row->state, "%s",
                 p->waiting > 0 ? "receiving" : "open");
    }
}

static void add_port(const struct gathering *g, const Motet__ControlPort *p)
{
    struct port_row *row = &g->rows->rows[g->rows->count++];

    *row = (struct port_row){
        .site_id = g->site_id,
        .queue_msgs = p->queue_msgs,
        .queue_msgs_max = p->queue_msgs_max,
        .queue_bytes = p->queue_bytes,
        .queue_bytes_max = p->queue_bytes_max,
        .seq = p->seq,
        .oldest_ms = p->queue_msgs == 0 ? CELL_NONE : p->oldest_ms,
        .waiting = p->waiting,
        .enabled = p->enabled,
        .id = {p->hi, p->lo},
    };
    (void)motet_ui_text(row->id, row->ui);
    snprintf(row->site, sizeof row->site, "%s", g->site);
    snprintf(row->actor, sizeof row->actor, "%s",
             p->actor == NULL ? "" : p->actor);
    set_state(p, row);
}

static void on_ports(const Motet__ControlReply *reply, void *user)
{
    const struct gathering *g = user;
    struct port_row *more = realloc(
        g->rows->rows, (g->rows->count + reply->n_ports + 1) * sizeof *more);

    CHECK(more != NULL);
    g->rows->rows = more;
    for (size_t i = 0; i < reply->n_ports; i++) {
        const Motet__ControlPort *p = reply->ports[i];
        if (p->hi != g->own.hi || p->lo != g->own.lo) {
            add_port(g, p);
        }
    }
}

/* A port is called by the shortest of the groups that it alone is in. */
static void join_group(struct port_row *row, const struct group_row *g)
{
    size_t n = strlen(row->groups);

    if (g->name[0] == '\0') {
        return;
    }
    snprintf(row->groups + n, sizeof row->groups - n, "%s%s", n == 0 ? "" : ",",
             g->name);
    if (g->members == 1 &&
        (row->name[0] == '\0' || strlen(g->name) < strlen(row->name))) {
        memcpy(row->name, g->name, sizeof row->name);
    }
}

static void join_groups(struct port_rows *rows, const struct group_rows *groups)
{
    for (size_t i = 0; i < groups->count; i++) {
        const struct group_row *g = &groups->rows[i];
        for (size_t j = 0; j < g->list_count; j++) {
            for (size_t k = 0; k < rows->count; k++) {
                if (ui_equal(g->list[j].port, rows->rows[k].id)) {
                    join_group(&rows->rows[k], g);
                }
            }
        }
    }
    for (size_t k = 0; k < rows->count; k++) {
        struct port_row *row = &rows->rows[k];
        if (row->name[0] == '\0' && ui_kind(row->id) == UI_CONTROL) {
            snprintf(row->name, sizeof row->name, "$control");
        } else if (row->name[0] == '\0') {
            memcpy(row->name, row->ui, sizeof row->ui);
        }
    }
}

static int by_name(const void *a, const void *b)
{
    const struct port_row *x = a;
    const struct port_row *y = b;
    int order = strverscmp(x->name, y->name);

    return order != 0 ? order : strverscmp(x->site, y->site);
}

static enum exit_code from_sites(struct client *c,
                                 const struct site_names *names,
                                 const char *site, struct port_rows *rows)
{
    enum motet_err last = MOTET_OK;
    size_t asked = 0;

    if (site != NULL && site_names_told(names, site) == NULL) {
        return EXIT_MISSING;
    }
    for (size_t i = 0; i < names->count; i++) {
        const struct site_name *s = &names->sites[i];
        struct gathering g = {rows, s->name, s->id,
                              motet_port_ui(motet_own_port(c->motet))};
        bool meant = site == NULL
                         ? strcmp(site_state_text(s->state), "alive") == 0
                         : strcmp(s->name, site) == 0;
        if (!meant) {
            continue;
        }
        asked++;
        enum motet_err err = control_pages(
            c, s->id, MOTET__CONTROL_REQUEST__OP__PORTS, on_ports, &g);
        if (err != MOTET_OK) {
            rows->sites_mute++;
            last = err;
        }
    }
    if (asked > 0 && rows->sites_mute == asked) {
        return control_failed(c, site == NULL ? c->at->name : site, last);
    }
    return EXIT_DONE;
}

enum exit_code port_rows_get(struct client *c, const char *site,
                             struct port_rows *rows)
{
    struct site_names names;
    struct group_rows groups;

    *rows = (struct port_rows){0};
    enum exit_code code = site_names_get(c, &names);
    if (code != EXIT_DONE) {
        return code;
    }
    code = from_sites(c, &names, site, rows);
    site_names_free(&names);
    if (code == EXIT_DONE) {
        code = group_rows_get(c, &groups);
    }
    if (code != EXIT_DONE) {
        port_rows_free(rows);
        return code;
    }
    join_groups(rows, &groups);
    group_rows_free(&groups);
    if (rows->count > 0) {
        qsort(rows->rows, rows->count, sizeof *rows->rows, by_name);
    }
    return EXIT_DONE;
}

void port_rows_free(struct port_rows *rows)
{
    free(rows->rows);
    *rows = (struct port_rows){0};
}

#define PORT(head, key, kind, show, field) \
    COLUMN(struct port_row, head, key, kind, show, field)
static const struct column columns[] = {
    PORT("NAME", "name", CELL_CHARS, SHOW_ALWAYS, name),
    PORT("SITE", "site", CELL_CHARS, SHOW_ALWAYS, site),
    PORT("QUEUE", "queue", CELL_NUMBER, SHOW_ALWAYS, queue_msgs),
    PORT("LIMIT", "queue_max", CELL_NUMBER, SHOW_ALWAYS, queue_msgs_max),
    PORT("BYTES", "queue_bytes", CELL_BYTES, SHOW_WIDE, queue_bytes),
    PORT("LIMIT", "queue_bytes_max", CELL_BYTES, SHOW_WIDE, queue_bytes_max),
    PORT("OLDEST", "oldest_ms", CELL_MS, SHOW_WIDE, oldest_ms),
    PORT("RECEIVED", "received", CELL_NUMBER, SHOW_ALWAYS, seq),
    PORT("RECEIVERS", "receivers", CELL_NUMBER, SHOW_WIDE, waiting),
    PORT("ACTOR", "actor", CELL_CHARS, SHOW_ALWAYS, actor),
    PORT("GROUPS", "groups", CELL_CHARS, SHOW_ALWAYS, groups),
    PORT("STATE", "state", CELL_CHARS, SHOW_ALWAYS, state),
    PORT("UI", "ui", CELL_CHARS, SHOW_WIDE, ui),
};
#undef PORT

struct table port_rows_table(const struct port_rows *rows)
{
    return (struct table){
        .schema = "motet.port.list/1",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = rows->rows,
        .row_bytes = sizeof *rows->rows,
        .row_count = rows->count,
        .none = "no ports",
    };
}
