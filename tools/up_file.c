#include "up_file.h"

#include <string.h>

#include "ground.h"
#include "link_way.h"
#include "relay.h"
#include "say.h"

static const struct file_site *find(const struct cluster_file *file,
                                    const char *name)
{
    for (unsigned i = 0; i < file->sites_count; i++) {
        if (strcmp(file->sites[i].name, name) == 0) {
            return &file->sites[i];
        }
    }
    return NULL;
}

static enum exit_code another(const struct cluster *c)
{
    say_hint("begin anew: motet down --purge -c %s", c->name);
    say_hint("or give it another name: motet up -f FILE --name NAME");
    return EXIT_USAGE;
}

static bool has_host(const struct cluster_file *file)
{
    for (unsigned i = 0; i < file->sites_count; i++) {
        if (strcmp(file->sites[i].ground, "host") == 0) {
            return true;
        }
    }
    return false;
}

/* What is there was made by this file, or by one that agrees with it. */
static enum exit_code check_there(const struct cluster *c, const char *path,
                                  const struct cluster_file *file)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct site_files *s = &c->sites[i];
        const struct file_site *f = find(file, s->name);
        if (f == NULL) {
            say_error("cluster %s has a site %s that %.200s does not name",
                      c->name, s->name, path);
            return another(c);
        }
        if (strcmp(f->ground, s->ground->name) != 0) {
            say_error("%s of cluster %s is a %s site, in %.200s a %s site",
                      s->name, c->name, s->ground->kind, path, f->ground);
            return another(c);
        }
        if (s->ground == &ground_qemu && s->user_net != has_host(file)) {
            say_error("%s of cluster %s is on another network than %.200s "
                      "puts it",
                      s->name, c->name, path);
            return another(c);
        }
    }
    return EXIT_DONE;
}

enum exit_code up_file_sites(struct cluster *c, const char *path,
                             const struct cluster_file *file)
{
    const enum exit_code code = check_there(c, path, file);

    for (unsigned i = 0; code == EXIT_DONE && i < file->sites_count; i++) {
        const struct file_site *f = &file->sites[i];
        struct site_files *s = cluster_site(c, f->name);
        if (s == NULL) {
            s = cluster_add(c, f->name);
        }
        if (s == NULL) {
            return EXIT_FAILED;
        }
        const bool is_new = s->address[0] == '\0';
        s->ground = ground_find(f->ground);
        if (is_new) {
            s->user_net = s->ground == &ground_qemu && has_host(file);
        }
        s->memory_mib = f->memory_mib;
    }
    return code;
}

/* Who says where the actors are gets no others than those of every site. */
static bool any_actors(const struct cluster_file *file)
{
    for (unsigned i = 0; i < file->sites_count; i++) {
        if (file->sites[i].actors != NULL) {
            return true;
        }
    }
    return false;
}

const struct launch_actors *up_file_actors(const struct cluster_file *file,
                                           const char *site,
                                           struct launch_actors *actors)
{
    static char echo[] = "echo";
    static char bench[] = "bench";
    static char *const usual[] = {echo, bench};
    const struct file_site *f = file != NULL ? find(file, site) : NULL;

    if (f == NULL || !any_actors(file)) {
        return NULL;
    }
    if (f->actors == NULL) {
        *actors = (struct launch_actors){usual, ARRAY_LEN(usual)};
        return actors;
    }
    *actors = (struct launch_actors){f->actors, f->actors_count};
    return actors;
}

static bool set_ways(struct cluster *c, const struct cluster_file *file)
{
    for (unsigned i = 0; i < file->links_count; i++) {
        const struct file_link *l = &file->links[i];
        if (l->transport != NULL &&
            link_way_set(c, l->between[0], l->between[1], l->transport) !=
                EXIT_DONE) {
            return false;
        }
    }
    return true;
}

static bool any_faults(const struct cluster_file *file)
{
    for (unsigned i = 0; i < file->links_count; i++) {
        if (file->links[i].faults != NULL) {
            return true;
        }
    }
    return false;
}

bool up_file_links(struct cluster *c, const struct cluster_file *file)
{
    struct network n;

    if (!set_ways(c, file)) {
        return false;
    }
    if (!any_faults(file)) {
        return true;
    }
    if (relay_need(c, &n) != EXIT_DONE) {
        return false;
    }
    for (unsigned i = 0; i < file->links_count; i++) {
        const struct file_link *l = &file->links[i];
        const bool both = l->between_count > 0;
        const char *a = both ? l->between[0] : l->from;
        const char *b = both ? l->between[1] : l->to;
        if (l->faults == NULL) {
            continue;
        }
        if (!network_ask(&n, NULL, "set %s %s %s", a, b, l->faults) ||
            (both && !network_ask(&n, NULL, "set %s %s %s", b, a, l->faults))) {
            return false;
        }
    }
    return true;
}
