#include <jansson.h>
#include <libsmartcols.h>
#include <openssl/crypto.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>

#include "nucleus/base/version.h"
#include "table.h"
#include "verbs.h"

/* motet version: with --all what a bug report needs. */

static struct version {
    bool all;
} version;

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static const char *smartcols_version(void)
{
    const char *text = "unknown";

    (void)scols_get_library_version(&text);
    return text;
}

static enum exit_code version_run(char **args, unsigned count)
{
    (void)args;
    (void)count;
    if (options.output >= OUTPUT_JSON) {
        return table_json("motet.version/1",
                          json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "version",
                                    version_text(), "commit", version_commit(),
                                    "compiler", COMPILER, "openssl",
                                    OpenSSL_version(OPENSSL_VERSION_STRING),
                                    "protobuf_c", protobuf_c_version(),
                                    "jansson", jansson_version_str(),
                                    "smartcols", smartcols_version()))
                   ? EXIT_DONE
                   : EXIT_FAILED;
    }
    printf("motet %s\n", version_text());
    if (version.all) {
        printf("commit      %s\ncompiler    %s\nopenssl     %s\n"
               "protobuf-c  %s\njansson     %s\nsmartcols   %s\n",
               version_commit(), COMPILER,
               OpenSSL_version(OPENSSL_VERSION_STRING), protobuf_c_version(),
               jansson_version_str(), smartcols_version());
    }
    return EXIT_DONE;
}

static const struct flag flags[] = {
    {"all", 'a', NULL, FLAG_SWITCH, offsetof(struct version, all),
     "commit, compiler, libraries"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_version = {
    .name = "version",
    .args = "",
    .flags = flags,
    .into = &version,
    .run = version_run,
    .summary = "which motet this is; --all for a bug report",
    .examples = "  motet version --all\n",
    .exits = "0 2",
};
