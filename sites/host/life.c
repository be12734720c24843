#include "life.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "nucleus/base/version.h"

static bool random_words(uint64_t *words, size_t count)
{
    size_t size = count * sizeof *words;

    return getrandom(words, size, 0) == (ssize_t)size;
}

bool life_config(const struct config *cfg, const char *listened,
                 struct site_config *c)
{
    uint64_t words[3];

    if (!random_words(words, ARRAY_LEN(words))) {
        return false;
    }
    *c = site_config_default();
    c->name = cfg->name;
    c->cluster = cfg->cluster;
    c->address = cfg->advertise != NULL ? cfg->advertise : listened;
    c->version = version_text();
    c->operator_uid = (uint32_t)getuid();
    c->insecure = cfg->insecure;
    c->seed = words[0];
    c->secret[0] = words[1];
    c->secret[1] = words[2];
    c->memory_bytes_max = (size_t)cfg->memory_bytes;
    for (uint32_t i = 0; i < cfg->join.count; i++) {
        if (strcmp(cfg->join.items[i], c->address) != 0) {
            c->seeds[c->seed_count++] = cfg->join.items[i];
        }
    }
    return true;
}
