#include "exits.h"

#include "nucleus/base/check.h"

#define EXITS_LINE(name, code, meaning, todo) \
    {EXIT_##name, #name, meaning, todo},
static const struct exit_line lines[] = {EXITS(EXITS_LINE)};
#undef EXITS_LINE

/* Where the answer is not simply NOT_RUN or MAYBE. */
static const struct {
    enum motet_err err;
    enum exit_code code;
} special[] = {
    {MOTET_E_NO_PORT, EXIT_MISSING},   {MOTET_E_NO_SITE, EXIT_MISSING},
    {MOTET_E_NO_GROUP, EXIT_MISSING},  {MOTET_E_NO_MEMBER, EXIT_MISSING},
    {MOTET_E_NO_ACTOR, EXIT_MISSING},  {MOTET_E_AMBIGUOUS, EXIT_USAGE},
    {MOTET_E_PERMISSION, EXIT_DENIED}, {MOTET_E_AUTH, EXIT_DENIED},
    {MOTET_E_INVALID, EXIT_USAGE},
};

const struct exit_line *exit_line(size_t i)
{
    return i < ARRAY_LEN(lines) ? &lines[i] : NULL;
}

enum exit_code exit_of(enum motet_err err)
{
    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        if (special[i].err == err) {
            return special[i].code;
        }
    }
    switch (motet_err_ran(err)) {
    case MOTET_RAN_YES:
        return EXIT_DONE;
    case MOTET_RAN_NO:
        return EXIT_NOT_RUN;
    case MOTET_RAN_MAYBE:
    default:
        return EXIT_MAYBE;
    }
}
