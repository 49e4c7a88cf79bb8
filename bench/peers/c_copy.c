/*
 * The smallest possible relay: it accepts one connection on each of two ports of loopback, then copies the bytes.
 * Usage: c_copy ENTRY EXIT.  It serves one pair, and passes a half-close on.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char block[65536];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int listener(int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)) die("socket");
	if (bind(fd, (void *)&at, sizeof at) || listen(fd, 1)) die("listen");
	return fd;
}

static int caller(int at)
{
	int fd = accept(at, NULL, NULL), one = 1;
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one)) die("accept");
	return fd;
}

/* Copies one block. Returns 0 at the end of the input. */
static int copy(int from, int to)
{
	ssize_t got = read(from, block, sizeof block);
	if (got <= 0) {
		shutdown(to, SHUT_WR);
		return 0;
	}
	for (ssize_t done = 0; done < got;) {
		ssize_t put = write(to, block + done, got - done);
		if (put < 0) return 0;
		done += put;
	}
	return 1;
}

int main(int count, char **words)
{
	if (count != 3) return 1;
	signal(SIGPIPE, SIG_IGN);
	int far = listener(atoi(words[2])), near = listener(atoi(words[1]));
	struct pollfd ends[2] = { { .fd = caller(near), .events = POLLIN }, { .fd = caller(far), .events = POLLIN } };
	int fds[2] = { ends[0].fd, ends[1].fd };
	while (ends[0].fd >= 0 || ends[1].fd >= 0) {
		if (poll(ends, 2, -1) < 0) die("poll");
		for (int i = 0; i < 2; i++)
			if (ends[i].revents && !copy(fds[i], fds[!i])) ends[i].fd = -1; /* poll ignores it from now on */
	}
	return 0;
}
