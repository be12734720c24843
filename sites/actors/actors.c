#include "actors.h"

#include <string.h>

static const struct motet_supervisor *const builtin[] = {
    &actor_echo,
    &actor_counter,
    &actor_bench,
    &actor_ballast,
};

const struct motet_supervisor *actor_builtin(const char *name)
{
    for (size_t i = 0; i < sizeof builtin / sizeof builtin[0]; i++) {
        if (strcmp(builtin[i]->name, name) == 0) {
            return builtin[i];
        }
    }
    return NULL;
}

static enum motet_err join(struct motet_self *self, const char *group,
                           struct motet_ui port)
{
    struct motet_cap cap;
    enum motet_err err = motet_actor_group(self, group, &cap);

    return err != MOTET_OK ? err : motet_actor_join(self, &cap, port);
}

enum motet_err actor_serve_as(struct motet_self *self, const char *name,
                              struct motet_cap *port)
{
    enum motet_err err = motet_actor_port_new(self, port);

    return err != MOTET_OK ? err : join(self, name, port->ui);
}

enum motet_err actor_serve(struct motet_self *self, const char *kind,
                           bool shared, struct motet_cap *port)
{
    char name[MOTET_NAME_MAX + 1];
    const char *site = motet_actor_site_name(self);
    size_t kind_bytes = strlen(kind);
    size_t site_bytes = strlen(site);

    enum motet_err err = motet_actor_port_new(self, port);
    if (err == MOTET_OK && shared) {
        err = join(self, kind, port->ui);
    }
    if (err != MOTET_OK || kind_bytes + 1 + site_bytes > MOTET_NAME_MAX) {
        return err; /* too long a name: found by the shared one only */
    }
    memcpy(name, kind, kind_bytes);
    name[kind_bytes] = '.';
    memcpy(name + kind_bytes + 1, site, site_bytes + 1);
    return join(self, name, port->ui);
}
