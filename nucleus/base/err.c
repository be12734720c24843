#include <motet/err.h>

#include "nucleus/base/check.h"

#define TEXT(name, ran, text) [MOTET_E_##name] = (text),
static const char *const texts[MOTET_E_COUNT] = {[MOTET_OK] = "success",
                                                 MOTET_ERRORS(TEXT)};
#undef TEXT

#define NAME(name, ran, text) [MOTET_E_##name] = #name,
static const char *const names[MOTET_E_COUNT] = {[MOTET_OK] = "OK",
                                                 MOTET_ERRORS(NAME)};
#undef NAME

#define RAN(name, ran, text) [MOTET_E_##name] = MOTET_RAN_##ran,
static const enum motet_ran rans[MOTET_E_COUNT] = {[MOTET_OK] = MOTET_RAN_YES,
                                                   MOTET_ERRORS(RAN)};
#undef RAN

const char *motet_err_text(enum motet_err err)
{
    return (size_t)err < MOTET_E_COUNT ? texts[err] : "unknown error";
}

const char *motet_err_name(enum motet_err err)
{
    return (size_t)err < MOTET_E_COUNT ? names[err] : "UNKNOWN";
}

enum motet_ran motet_err_ran(enum motet_err err)
{
    return (size_t)err < MOTET_E_COUNT ? rans[err] : MOTET_RAN_MAYBE;
}
