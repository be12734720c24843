#include "cluster.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ground.h"
#include "nucleus/base/ui.h"
#include "options.h"
#include "say.h"

#define SUFFIX ".conf"

enum { LINE_BYTES = 4096, CLUSTERS_MAX = 64 };

/* "site2" before "site10". */
static int by_name(const void *a, const void *b)
{
    const struct site_files *x = a;
    const struct site_files *y = b;

    return strverscmp(x->name, y->name);
}

bool cluster_paths(const struct cluster *c, const char *name,
                   struct site_files *site)
{
    snprintf(site->name, sizeof site->name, "%s", name);
    site->ground = &ground_host;
    return path_join(site->conf, c->folders.state, name, SUFFIX) &&
           path_join(site->log, c->folders.state, name, ".log") &&
           path_join(site->state, c->folders.state, name, NULL) &&
           path_join(site->pid, c->folders.run, name, ".pid") &&
           path_join(site->socket, c->folders.run, name, ".sock");
}

struct site_files *cluster_add(struct cluster *c, const char *name)
{
    if (strcmp(name, "network") == 0) { /* network.h */
        say_error("no site may be named \"network\": files have that name");
        return NULL;
    }
    if (c->count == CLUSTER_SITES_MAX) {
        say_error("more than %d sites", CLUSTER_SITES_MAX);
        return NULL;
    }
    struct site_files *more =
        realloc(c->sites, (c->count + 1) * sizeof *c->sites);
    CHECK(more != NULL);
    c->sites = more;
    c->sites[c->count] = (struct site_files){0};
    if (!cluster_paths(c, name, &c->sites[c->count])) {
        return NULL;
    }
    c->count++;
    qsort(c->sites, c->count, sizeof *c->sites, by_name);
    return cluster_site(c, name);
}

/* The value of "key = value"; the text is cut in place. */
static const char *value_of(char *line, const char *key)
{
    size_t n = strlen(key);

    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, key, n) != 0) {
        return NULL;
    }
    const char *rest = line + n + strspn(line + n, " \t");
    if (*rest != '=') {
        return NULL;
    }
    return rest + 1 + strspn(rest + 1, " \t");
}

static bool read_conf(struct site_files *site)
{
    char line[LINE_BYTES];
    const char *value;
    FILE *f = fopen(site->conf, "re");

    if (f == NULL) {
        say_error("cannot read %.300s: %s", site->conf, strerror(errno));
        return false;
    }
    while (fgets(line, sizeof line, f) != NULL) {
        if ((value = value_of(line, "listen")) != NULL && !site->user_net) {
            snprintf(site->address, sizeof site->address, "%s", value);
        } else if ((value = value_of(line, "advertise")) != NULL) {
            snprintf(site->address, sizeof site->address, "%s", value);
        } else if ((value = value_of(line, "detour")) != NULL) {
            snprintf(site->detour, sizeof site->detour, "%s", value);
        } else if ((value = value_of(line, "transport")) != NULL) {
            snprintf(site->transport, sizeof site->transport, "%s", value);
        } else if ((value = value_of(line, "socket")) != NULL) {
            snprintf(site->socket, sizeof site->socket, "%s", value);
        }
    }
    fclose(f);
    return true;
}

void cluster_way(const struct site_files *site, const char *to,
                 char way[CLUSTER_WAY_BYTES])
{
    char line[LINE_BYTES];
    FILE *f = fopen(site->conf, "re");
    const size_t size = strlen(to);

    (void)snprintf(way, CLUSTER_WAY_BYTES, "%s",
                   site->transport[0] != '\0' ? site->transport : "tcp");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char *value = value_of(line, "transport-to");
        if (value != NULL && strncmp(value, to, size) == 0 &&
            value[size] == ' ') {
            (void)snprintf(way, CLUSTER_WAY_BYTES, "%.*s",
                           (int)strcspn(value + size + 1, " \r\n"),
                           value + size + 1);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
}

/* "site1" of "site1.conf". */
static bool name_of(const char *file, char *name)
{
    size_t n = strlen(file);
    size_t suffix = strlen(SUFFIX);

    if (n <= suffix || n - suffix > MOTET_NAME_MAX ||
        strcmp(file + n - suffix, SUFFIX) != 0) {
        return false;
    }
    memcpy(name, file, n - suffix);
    name[n - suffix] = '\0';
    return ui_name_ok(name);
}

static bool read_folder(struct cluster *c, DIR *dir)
{
    char name[MOTET_NAME_MAX + 1];
    const struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        if (!name_of(entry->d_name, name)) {
            continue;
        }
        struct site_files *site = cluster_add(c, name);
        if (site == NULL || !ground_read(site) || !read_conf(site)) {
            return false;
        }
    }
    return true;
}

void cluster_count(struct cluster *c)
{
    c->running = 0;
    for (size_t i = 0; i < c->count; i++) {
        c->running += c->sites[i].running ? 1 : 0;
    }
}

void cluster_look(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct site_files *s = &c->sites[i];
        s->running = process_read(s->pid, &s->process);
    }
    cluster_count(c);
}

bool cluster_open(struct cluster *c, const char *name)
{
    *c = (struct cluster){0};
    snprintf(c->name, sizeof c->name, "%s", name);
    if (!ui_name_ok(name) || strchr(name, '/') != NULL) {
        say_error("\"%.100s\" is no name for a cluster", name);
        say_hint("use 1 to %d letters, digits and . _ -", MOTET_NAME_MAX);
        return false;
    }
    if (!folders_of(name, &c->folders)) {
        return false;
    }
    DIR *dir = opendir(c->folders.state);
    if (dir == NULL) {
        return true;
    }
    bool ok = read_folder(c, dir);
    closedir(dir);
    if (!ok) {
        cluster_close(c);
        return false;
    }
    cluster_look(c);
    return true;
}

void cluster_close(struct cluster *c)
{
    free(c->sites);
    c->sites = NULL;
    c->count = 0;
}

struct site_files *cluster_site(const struct cluster *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->sites[i].name, name) == 0) {
            return &c->sites[i];
        }
    }
    return NULL;
}

bool cluster_has_address(const struct cluster *c, const char *address)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->sites[i].address, address) == 0) {
            return true;
        }
    }
    return false;
}

struct site_files *cluster_site_told(const struct cluster *c, const char *name)
{
    const char *names[CLUSTER_SITES_MAX];
    struct site_files *site = cluster_site(c, name);

    if (site != NULL) {
        return site;
    }
    for (size_t i = 0; i < c->count; i++) {
        names[i] = c->sites[i].name;
    }
    say_error("no site named %.100s in cluster %s", name, c->name);
    const char *near = say_nearest(name, names, c->count);
    if (near != NULL) {
        say_hint("did you mean: %s", near);
    }
    say_hint("list them: motet site list");
    return NULL;
}

/* ---- which one -------------------------------------------------------------
 */

struct found {
    char names[CLUSTERS_MAX][MOTET_NAME_MAX + 1];
    size_t count;
};

static bool found_add(struct found *f, const char *name, bool stopped)
{
    struct cluster c;

    if (!ui_name_ok(name) || name[0] == '.' || f->count == CLUSTERS_MAX) {
        return true;
    }
    if (!cluster_open(&c, name)) {
        return false;
    }
    if (c.running > 0 || (stopped && c.count > 0)) {
        snprintf(f->names[f->count++], sizeof f->names[0], "%.63s", name);
    }
    cluster_close(&c);
    return true;
}

static bool find(struct found *f, bool stopped)
{
    struct folders folders;
    const struct dirent *entry;
    bool ok = true;

    f->count = 0;
    if (!folders_of("", &folders)) {
        return false;
    }
    DIR *dir = opendir(folders.state);
    if (dir == NULL) {
        return true;
    }
    while (ok && (entry = readdir(dir)) != NULL) {
        ok = found_add(f, entry->d_name, stopped);
    }
    closedir(dir);
    return ok;
}

static enum exit_code several(const struct found *f)
{
    char list[512] = "";

    for (size_t i = 0; i < f->count; i++) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i == 0 ? "" : ", ",
                 f->names[i]);
    }
    say_error("several clusters: %s", list);
    say_hint("say which: -c NAME, or set MOTET_CLUSTER");
    return EXIT_USAGE;
}

static enum exit_code choose_name(bool stopped, char *name)
{
    struct found f;

    if (options.cluster != NULL) {
        snprintf(name, MOTET_NAME_MAX + 2, "%s", options.cluster);
        return EXIT_DONE;
    }
    if (!find(&f, false) || (f.count == 0 && stopped && !find(&f, true))) {
        return EXIT_FAILED;
    }
    if (f.count == 0) {
        say_error("no cluster is running");
        say_hint("start one: motet up 3");
        return EXIT_NO_CLUSTER;
    }
    if (f.count > 1) {
        return several(&f);
    }
    snprintf(name, MOTET_NAME_MAX + 2, "%s", f.names[0]);
    return EXIT_DONE;
}

/* A site may be named with its cluster, as programs do: "demo/site2". */
static void split_site(void)
{
    static char cluster[MOTET_NAME_MAX + 1];
    const char *slash = options.site == NULL ? NULL : strchr(options.site, '/');

    if (slash != NULL && slash != options.site && slash[1] != '\0') {
        snprintf(cluster, sizeof cluster, "%.*s", (int)(slash - options.site),
                 options.site);
        options.cluster = cluster;
        options.site = slash + 1;
    }
}

enum exit_code cluster_choose(struct cluster *c, bool stopped)
{
    char name[MOTET_NAME_MAX + 2]; /* too long stays too long */

    split_site();
    enum exit_code code = choose_name(stopped, name);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!cluster_open(c, name)) {
        return EXIT_FAILED;
    }
    snprintf(options.cluster_chosen, sizeof options.cluster_chosen, "%.63s",
             name);
    if (c->count == 0) {
        say_error("no cluster named %s", name);
        say_hint("make it: motet up 3 --name %s", name);
        cluster_close(c);
        return EXIT_MISSING;
    }
    if (c->running == 0 && !stopped) {
        say_error("cluster %s is not running", name);
        say_hint("start it: motet up --name %s", name);
        cluster_close(c);
        return EXIT_NO_CLUSTER;
    }
    return EXIT_DONE;
}

enum exit_code cluster_choose_site(struct cluster *c, const char *name,
                                   struct site_files **site)
{
    const enum exit_code code = cluster_choose(c, true);

    if (code != EXIT_DONE) {
        return code;
    }
    *site = cluster_site_told(c, name);
    if (*site == NULL) {
        cluster_close(c);
        return EXIT_MISSING;
    }
    return EXIT_DONE;
}

enum exit_code cluster_attach_to(const struct cluster *c,
                                 struct site_files **site)
{
    if (options.site != NULL) {
        *site = cluster_site_told(c, options.site);
        if (*site == NULL) {
            return EXIT_MISSING;
        }
        if (!(*site)->running) {
            say_error("site %s is not running", (*site)->name);
            say_hint("start it: motet site restart %s", (*site)->name);
            return EXIT_NO_CLUSTER;
        }
        return EXIT_DONE;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].running && !c->sites[i].process.stopped) {
            *site = &c->sites[i];
            return EXIT_DONE;
        }
    }
    say_error("no site of cluster %s answers: all are stopped or paused",
              c->name);
    say_hint("see: motet status");
    return EXIT_NO_CLUSTER;
}
