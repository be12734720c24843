#include "plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind ".so", or NULL. */
static const char *end_of_file(const char *text)
{
    for (const char *at = strstr(text, ".so"); at != NULL;
         at = strstr(at + 1, ".so")) {
        if (at[3] == '\0' || at[3] == ':') {
            return at + 3;
        }
    }
    return NULL;
}

bool plugin_is(const char *text)
{
    return end_of_file(text) != NULL;
}

static void *symbol(const struct plugin *p, const char *name)
{
    return dlsym(p->handle, name);
}

/* ISO C knows no way from a pointer to data to one to code; POSIX does. */
static bool find_table(struct plugin *p)
{
    const struct motet_supervisor *(*actor)(void);
    const struct motet_invariant *(*invariants)(size_t * count);
    void *found = symbol(p, "motet_plugin_actor");
    if (found == NULL) {
        return false;
    }
    memcpy(&actor, &found, sizeof actor);
    p->table = actor();
    found = symbol(p, "motet_plugin_invariants");
    if (found != NULL) {
        memcpy(&invariants, &found, sizeof invariants);
        p->invariants = invariants(&p->invariant_count);
    }
    return true;
}

static bool complain(char *why, const char *text, const char *more)
{
    (void)snprintf(why, PLUGIN_WHY_MAX, "actor: %.200s: %.280s", text, more);
    return false;
}

/* The loader names the file, which is told already. */
static const char *why_not(const char *path)
{
    const char *text = dlerror();
    const size_t size = strlen(path);

    return strncmp(text, path, size) == 0 && text[size] == ':'
               ? text + size + 1 + strspn(text + size + 1, " ")
               : text;
}

bool plugin_open(struct plugin *p, const char *text, char *why)
{
    char file[PLUGIN_PATH_MAX];
    char full[PATH_MAX];
    const char *end = end_of_file(text);
    *p = (struct plugin){0};
    if (end == NULL || (size_t)(end - text) >= sizeof file) {
        return complain(why, text, "is no shared object: name a FILE.so");
    }
    (void)snprintf(file, sizeof file, "%.*s", (int)(end - text), text);
    p->args = *end == ':' ? end + 1 : NULL;
    if (realpath(file, full) == NULL || strlen(full) >= sizeof p->path) {
        return complain(why, file, "there is no such file");
    }
    memcpy(p->path, full, strlen(full) + 1);
    p->handle = dlopen(p->path, RTLD_NOW | RTLD_LOCAL);
    if (p->handle == NULL) {
        return complain(why, file, why_not(p->path));
    }
    if (!find_table(p)) {
        return complain(why, file,
                        "defines no motet_plugin_actor(); see motet/plugin.h");
    }
    if (p->table == NULL || p->table->on_start == NULL ||
        p->table->on_message == NULL) {
        return complain(why, file, "its table lacks on_start or on_message");
    }
    return true;
}
