/*
 * The inner loop of the websocket relay: it rewrites data frames of a client in place as data frames of a server.
 * relay.py beside this file handles all other frames, and all frames if this file was not compiled. Both give the same
 * bytes (tests/property/test_codec.py).
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define WHOLE_TEXT 0x81
#define WHOLE_BINARY 0x82
#define MASKED 0x80
#define MASKED_HEADER_MAX 14

typedef unsigned char u8;
typedef u8 block __attribute__((vector_size(32)));

static const char FORGED[] = "medusa:";
#define FORGED_SIZE ((Py_ssize_t)sizeof FORGED - 1)

/* Moves bytes from src to dst and applies the key. Needs dst <= src: then no store hits a byte not yet loaded. */
static void
move_unmasked(u8 *dst, const u8 *src, Py_ssize_t size, const u8 key[4])
{
    Py_ssize_t at = 0;
    uint32_t word;
    block keys, data;

    memcpy(&word, key, 4);
    if (word == 0) {
        if (dst != src)
            memmove(dst, src, (size_t)size);
        return;
    }
    for (int i = 0; i < (int)sizeof keys; i += 4)
        memcpy((u8 *)&keys + i, key, 4);
    for (; size - at >= (Py_ssize_t)sizeof data; at += (Py_ssize_t)sizeof data) {
        memcpy(&data, src + at, sizeof data);
        data ^= keys;
        memcpy(dst + at, &data, sizeof data);
    }
    for (; at < size; at++)
        dst[at] = src[at] ^ key[at & 3];
}

static void
rotate(u8 key[4], Py_ssize_t consumed)
{
    u8 old[4];
    memcpy(old, key, 4);
    for (int i = 0; i < 4; i++)
        key[i] = old[(i + consumed) & 3];
}

/* The header of a frame. Its `size` is 0 if the header is not all here, or if relay.py must handle the frame. */
typedef struct {
    Py_ssize_t size, length;
    u8 key[4];
} header;

static header
read_header(const u8 *data, Py_ssize_t have)
{
    header h = { 0, 0, { 0, 0, 0, 0 } };
    Py_ssize_t extended;

    if (have < 6 || (data[0] != WHOLE_BINARY && data[0] != WHOLE_TEXT) || !(data[1] & MASKED))
        return h;
    h.length = data[1] & 0x7f;
    extended = h.length == 126 ? 2 : h.length == 127 ? 8 : 0;
    if (have < 6 + extended)
        return h;
    if (extended) {
        uint64_t length = 0;
        for (int i = 0; i < extended; i++)
            length = length << 8 | data[2 + i];
        /* Refuse a length that is not in its shortest form (RFC 6455 section 5.2), or that is above any limit. */
        if (length < (extended == 2 ? 126 : 0x10000) || length > (uint64_t)PY_SSIZE_T_MAX)
            return h;
        h.length = (Py_ssize_t)length;
    }
    memcpy(h.key, data + 2 + extended, 4);
    h.size = 6 + extended;
    return h;
}

/* Writes the header `masked` to dst without its key, so 4 bytes shorter. Returns the new size. */
static Py_ssize_t
write_header(u8 *dst, u8 first, const u8 *masked, Py_ssize_t masked_size)
{
    u8 copy[MASKED_HEADER_MAX];
    memcpy(copy, masked, (size_t)masked_size);
    copy[0] = first;
    copy[1] &= (u8)~MASKED;
    memcpy(dst, copy, (size_t)masked_size - 4);
    return masked_size - 4;
}

static int
may_pass(const u8 *text, Py_ssize_t size)
{
    PyObject *decoded;

    if (size >= FORGED_SIZE && memcmp(text, FORGED, (size_t)FORGED_SIZE) == 0)
        return 0;
    for (Py_ssize_t at = 0;; at++) {
        if (at == size)
            return 1;
        if (text[at] & 0x80)
            break;
    }
    decoded = PyUnicode_DecodeUTF8((const char *)text, size, NULL);
    if (decoded == NULL) {
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(decoded);
    return 1;
}

typedef struct {
    Py_ssize_t at, out, messages, size, left, boundary, text;
    u8 key[4];
} progress;

static void
forward(u8 *data, Py_ssize_t end, progress *p)
{
    Py_ssize_t taken = p->left < end - p->at ? p->left : end - p->at;

    move_unmasked(data + p->out, data + p->at, taken, p->key);
    rotate(p->key, taken);
    p->at += taken;
    p->out += taken;
    p->size += taken;
    p->left -= taken;
    p->messages += p->left == 0;
}

static void
rewrite_frames(u8 *data, Py_ssize_t end, Py_ssize_t small, Py_ssize_t limit, progress *p)
{
    static const u8 none[4];

    if (p->left)
        forward(data, end, p);
    while (p->at < end) {
        header h = read_header(data + p->at, end - p->at);
        u8 first = data[p->at], *payload = data + p->at + h.size;
        int streamed = h.length > small;

        if (h.size == 0 || h.length > limit || (streamed && first == WHOLE_TEXT))
            return;
        if (!streamed && h.length > end - p->at - h.size)
            return;
        if (first == WHOLE_TEXT) {
            move_unmasked(payload, payload, h.length, h.key);
            if (!may_pass(payload, h.length)) {
                move_unmasked(payload, payload, h.length, h.key);
                return;
            }
            memcpy(h.key, none, 4);
            p->text += h.length;
        }
        if (streamed)
            p->boundary = p->out;
        p->out += write_header(data + p->out, first, data + p->at, h.size);
        p->at += h.size;
        memcpy(p->key, h.key, 4);
        p->left = h.length;
        forward(data, end, p);
    }
}

PyDoc_STRVAR(rewrite_doc,
"rewrite(buffer, at, small, limit, left, key)\n--\n\n"
"Rewrites data frames of a client in place as data frames of a server, from buffer[at] on.\n\n"
"Handles unfragmented data frames of up to `small` payload bytes once they are complete. Handles larger binary\n"
"frames, up to `limit` payload bytes, piece by piece as they arrive. Stops at the first other frame.\n\n"
"Args:\n"
"    left, key: number of payload bytes still to come of a large frame that has begun (0 if there is none), and the\n"
"        masking key (4 bytes) for them.\n\n"
"Returns:\n"
"    at: offset of the first byte that was not handled.\n"
"    end: offset after the last byte that was written.\n"
"    messages: number of messages that ended.\n"
"    size: number of payload bytes that were written.\n"
"    left, key: the values to pass in the next call.\n"
"    boundary: offset of the last written header of a large frame; -1 if there is none.\n"
"    text: number of the written payload bytes that belong to text messages.");

static PyObject *
rewrite(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer buffer;
    Py_ssize_t at, small, limit, left, key_size;
    const char *key;
    progress p;

    if (!PyArg_ParseTuple(args, "w*nnnny#:rewrite", &buffer, &at, &small, &limit, &left, &key, &key_size))
        return NULL;
    if (at < 0 || at > buffer.len || left < 0 || key_size != 4) {
        PyBuffer_Release(&buffer);
        PyErr_SetString(PyExc_ValueError, "rewrite: argument out of range");
        return NULL;
    }
    p = (progress){ at, at, 0, 0, left, -1, 0, { 0 } };
    memcpy(p.key, key, 4);
    rewrite_frames(buffer.buf, buffer.len, small, limit, &p);
    PyBuffer_Release(&buffer);
    return Py_BuildValue("(nnnnny#nn)", p.at, p.out, p.messages, p.size, p.left, (char *)p.key, (Py_ssize_t)4,
        p.boundary, p.text);
}

static PyMethodDef methods[] = {
    { "rewrite", rewrite, METH_VARARGS, rewrite_doc },
    { NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_fastrelay", "The inner loop of the websocket relay.", 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit__fastrelay(void)
{
    return PyModule_Create(&module);
}
