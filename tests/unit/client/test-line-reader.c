/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of bytes, however they are cut into reads. */

#include "client/line-reader.h"

#include <string.h>

static int collect(const char *line, void *userdata)
{
    g_ptr_array_add(userdata, g_strdup(line));
    return 0;
}

static GPtrArray *read_in_pieces(const char *data, size_t size, size_t piece)
{
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
    g_auto(LineReader) reader;

    line_reader_init(&reader);
    for (size_t at = 0; at < size; at += piece)
        g_assert_cmpint(line_reader_feed(&reader, data + at, MIN(piece, size - at), collect, lines), ==, 0);
    g_assert_cmpint(line_reader_end(&reader, collect, lines), ==, 0);
    return lines;
}

static void test_pieces(void)
{
    static const char data[] = "one\n\n two \r\n\xff\xfe\n\n\nlast";
    static const char *const expected[] = { "one", " two \r", "\xff\xfe", "last" };

    for (size_t piece = 1; piece < sizeof data; piece++) {
        g_autoptr(GPtrArray) lines = read_in_pieces(data, sizeof data - 1, piece);
        g_assert_cmpuint(lines->len, ==, G_N_ELEMENTS(expected));
        for (guint i = 0; i < lines->len; i++)
            g_assert_cmpstr(lines->pdata[i], ==, expected[i]);
    }
}

static void test_nothing(void)
{
    g_autoptr(GPtrArray) empty = read_in_pieces("", 0, 1), blank = read_in_pieces("\n\n\n", 3, 2);

    g_assert_cmpuint(empty->len, ==, 0);
    g_assert_cmpuint(blank->len, ==, 0);
}

static void test_nul(void)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_auto(LineReader) reader;

    line_reader_init(&reader);
    g_assert_cmpint(line_reader_feed(&reader, "good\nb\0d\nx\n", 11, collect, lines), ==, -EILSEQ);
    g_assert_cmpuint(reader.number, ==, 2);
    g_assert_cmpuint(lines->len, ==, 1);
}

static int refuse(const char *line, void *userdata)
{
    ++*(unsigned *) userdata;
    return -ENOSPC;
}

static void test_stops(void)
{
    g_auto(LineReader) reader;
    unsigned n = 0;

    line_reader_init(&reader);
    g_assert_cmpint(line_reader_feed(&reader, "a\nb\n", 4, refuse, &n), ==, -ENOSPC);
    g_assert_cmpuint(n, ==, 1);
}

static void test_file(void)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *path = NULL;
    Client client = {};
    int fd = g_file_open_tmp("parexec-lines-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    for (unsigned i = 0; i < 50000; i++)
        g_string_append_printf(text, "line %u\n", i);
    g_assert_cmpint(write(fd, text->str, text->len), ==, (ssize_t) text->len);
    close_fd(fd);
    g_assert_cmpint(line_reader_read_file(&client, path, collect, lines), ==, 0);
    g_assert_cmpuint(lines->len, ==, 50000);
    g_assert_cmpstr(lines->pdata[49999], ==, "line 49999");
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(line_reader_read_file(&client, path, collect, lines), ==, -ENOENT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/line-reader/pieces", test_pieces);
    g_test_add_func("/line-reader/nothing", test_nothing);
    g_test_add_func("/line-reader/nul", test_nul);
    g_test_add_func("/line-reader/stops", test_stops);
    g_test_add_func("/line-reader/file", test_file);
    return g_test_run();
}
