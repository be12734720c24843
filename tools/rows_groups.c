#include <motet/supervisor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "rows.h"
#include "say.h"

/* The members of a group as "site1,site3": each site once. */
static void name_sites(const struct site_names *names, struct group_row *row)
{
    for (size_t i = 0; i < row->list_count; i++) {
        char text[32];
        bool seen = false;
        const char *site = site_names_text(names, row->list[i].site, text);
        for (size_t j = 0; j < i && !seen; j++) {
            seen = row->list[j].site == row->list[i].site;
        }
        size_t n = strlen(row->sites);
        if (!seen) {
            snprintf(row->sites + n, sizeof row->sites - n, "%s%s",
                     n == 0 ? "" : ",", site);
        }
    }
}

static void add_group(const Motet__ControlGroup *g, struct group_row *row)
{
    *row = (struct group_row){.members = g->member_count, .id = {g->hi, g->lo}};
    snprintf(row->name, sizeof row->name, "%s", g->name == NULL ? "" : g->name);
    (void)motet_ui_text(row->id, row->ui);
    row->list = calloc(g->n_members + 1, sizeof *row->list);
    CHECK(row->list != NULL);
    for (size_t i = 0; i < g->n_members; i++) {
        const Motet__ControlGroupMember *m = g->members[i];
        row->list[row->list_count++] =
            (struct group_member){{m->hi, m->lo}, m->site};
    }
}

static void on_groups(const Motet__ControlReply *reply, void *user)
{
    struct group_rows *rows = user;
    struct group_row *more =
        realloc(rows->rows, (rows->count + reply->n_groups + 1) * sizeof *more);

    CHECK(more != NULL);
    rows->rows = more;
    for (size_t i = 0; i < reply->n_groups; i++) {
        add_group(reply->groups[i], &rows->rows[rows->count++]);
    }
}

/* Those with a name first. */
static int by_name(const void *a, const void *b)
{
    const struct group_row *x = a;
    const struct group_row *y = b;
    bool named = x->name[0] != '\0';

    if (named != (y->name[0] != '\0')) {
        return named ? -1 : 1;
    }
    return named ? strverscmp(x->name, y->name) : strcmp(x->ui, y->ui);
}

enum exit_code group_rows_get(struct client *c, struct group_rows *rows)
{
    struct site_names names;

    *rows = (struct group_rows){0};
    enum exit_code code = site_names_get(c, &names);
    if (code != EXIT_DONE) {
        return code;
    }
    enum motet_err err = control_pages(c, 0, MOTET__CONTROL_REQUEST__OP__GROUPS,
                                       on_groups, rows);
    if (err != MOTET_OK) {
        group_rows_free(rows);
        site_names_free(&names);
        return control_failed(c, c->at->name, err);
    }
    for (size_t i = 0; i < rows->count; i++) {
        name_sites(&names, &rows->rows[i]);
    }
    if (rows->count > 0) {
        qsort(rows->rows, rows->count, sizeof *rows->rows, by_name);
    }
    site_names_free(&names);
    return EXIT_DONE;
}

void group_rows_free(struct group_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->rows[i].list);
    }
    free(rows->rows);
    *rows = (struct group_rows){0};
}

const struct group_row *group_rows_find(const struct group_rows *rows,
                                        const char *name)
{
    for (size_t i = 0; i < rows->count; i++) {
        if (strcmp(rows->rows[i].name, name) == 0 ||
            strcmp(rows->rows[i].ui, name) == 0) {
            return &rows->rows[i];
        }
    }
    return NULL;
}

#define GROUP(head, key, kind, show, field) \
    COLUMN(struct group_row, head, key, kind, show, field)
static const struct column columns[] = {
    GROUP("NAME", "name", CELL_CHARS, SHOW_ALWAYS, name),
    GROUP("MEMBERS", "members", CELL_NUMBER, SHOW_ALWAYS, members),
    GROUP("SITES", "sites", CELL_CHARS, SHOW_ALWAYS, sites),
    GROUP("UI", "ui", CELL_CHARS, SHOW_ALWAYS, ui),
};
#undef GROUP

struct table group_rows_table(const struct group_rows *rows)
{
    return (struct table){
        .schema = "motet.group.list/1",
        .columns = columns,
        .column_count = ARRAY_LEN(columns),
        .rows = rows->rows,
        .row_bytes = sizeof *rows->rows,
        .row_count = rows->count,
        .none = "no groups",
    };
}
