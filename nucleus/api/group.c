#include <stdio.h>

#include "client.h"
#include "nucleus/base/ui.h"

enum motet_err motet_group(struct motet *m, const char *name,
                           struct motet_cap *group)
{
    struct request r;
    struct attach_frame f = {.op = ATTACH_GROUP_NEW};
    if (m == NULL || group == NULL || (name != NULL && !ui_name_ok(name))) {
        return MOTET_E_INVALID;
    }
    (void)snprintf(f.name, sizeof f.name, "%s", name != NULL ? name : "");
    const enum motet_err err = request_ask(m, &f, &r);
    if (err == MOTET_OK) {
        *group = r.result.cap;
    }
    return err;
}

static enum motet_err change(struct motet_port *port, enum attach_op op,
                             const struct motet_cap *group)
{
    struct request r;
    struct attach_frame f = {.op = op};
    if (port == NULL || group == NULL) {
        return MOTET_E_INVALID;
    }
    if (port->moved) {
        return MOTET_E_MOVED;
    }
    f.port = port->cap.ui;
    f.cap = *group;
    return request_ask(port->motet, &f, &r);
}

enum motet_err motet_group_insert(struct motet_port *port,
                                  const struct motet_cap *group)
{
    return change(port, ATTACH_GROUP_INSERT, group);
}

enum motet_err motet_group_remove(struct motet_port *port,
                                  const struct motet_cap *group)
{
    return change(port, ATTACH_GROUP_REMOVE, group);
}

enum motet_err motet_group_list(struct motet *m, struct motet_ui group,
                                struct motet_member *members, size_t max,
                                size_t *count)
{
    if (m == NULL || count == NULL || (members == NULL && max > 0)) {
        return MOTET_E_INVALID;
    }
    *count = 0;
    while (*count < max) {
        struct request r;
        struct attach_frame f = {.op = ATTACH_GROUP_LIST,
                                 .target = group,
                                 .index = (uint32_t)*count};
        const enum motet_err err = request_ask(m, &f, &r);
        if (err != MOTET_OK) {
            return err;
        }
        const uint32_t got = r.result.member_count;
        for (uint32_t i = 0; i < got && *count < max; i++) {
            const struct attach_member one = attach_member(&r.result, i);
            members[(*count)++] = (struct motet_member){
                .port = one.port, .site = ui_of_site(one.site)};
        }
        if (got < ATTACH_MEMBERS_MAX) {
            break;
        }
    }
    return MOTET_OK;
}
