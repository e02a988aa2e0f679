/*
 * As much of HTTP/1.0 as serve.c needs, over IPv4: one request a connection, which is a text.
 */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

enum {
  REQUEST_BYTES_MAX = 1 << 20, /* the largest request, head and body */
  SILENCE_MAX_S = 5,           /* how long a client may be silent */
  DRAIN_ROUNDS = 1024,         /* how often more of a refused request is read */
};

/* The number of bytes of the body, from the head of a request; SIZE_MAX if it is not a number. */
static size_t body_length(const char *head) {
  static const char name[] = "\r\ncontent-length:";
  const size_t size = sizeof name - 1;
  while ((head = strstr(head, "\r\n")) != NULL && strncasecmp(head, name, size) != 0) {
    head += 2;
  }
  if (head == NULL) {
    return 0;
  }
  head += size + strspn(head + size, " ");
  char *end = NULL;
  unsigned long long length = strtoull(head, &end, 10);
  return *head >= '0' && *head <= '9' && *end == '\r' && length < SIZE_MAX ? (size_t)length
                                                                          : SIZE_MAX;
}

/*
 * Reads a request into `buffer`, and sets `*body`. A text ends at its first 0 byte, so a request
 * that has one is refused. Returns 200, the status that refuses the request, or 0 if the client is
 * gone.
 */
static int read_request(int client, char *buffer, char **body) {
  size_t used = 0;
  size_t whole = SIZE_MAX; /* the length of the request, once its head is there */
  *body = NULL;
  while (used < whole) {
    ssize_t count = recv(client, buffer + used, REQUEST_BYTES_MAX - used, 0);
    if (count <= 0) {
      return 0;
    }
    if (memchr(buffer + used, '\0', (size_t)count) != NULL) {
      return 400;
    }
    used += (size_t)count;
    buffer[used] = '\0';
    if (*body == NULL && (*body = strstr(buffer, "\r\n\r\n")) != NULL) {
      (*body)[2] = '\0';
      size_t length = body_length(buffer);
      *body += 4;
      if (length == SIZE_MAX) {
        return 400;
      }
      if (length > REQUEST_BYTES_MAX - (size_t)(*body - buffer)) {
        return 413;
      }
      whole = (size_t)(*body - buffer) + length;
    }
    if (used == REQUEST_BYTES_MAX && used < whole) {
      return 413;
    }
  }
  return 200;
}

static void send_all(int client, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t count = send(client, bytes, length, 0);
    if (count <= 0) {
      return; /* the client is gone */
    }
    bytes += count;
    length -= (size_t)count;
  }
}

/* Sends an answer. */
static void respond(int client, int status, const char *body) {
  char head[128];
  int length = snprintf(head, sizeof head,
                        "HTTP/1.0 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                        "\r\n",
                        status, status < 300 ? "OK" : "Refused", strlen(body));
  send_all(client, head, (size_t)length);
  send_all(client, body, strlen(body));
}

/* Reads on after a refusal: a client that is cut off while it sends would not see the answer. */
static void drain(int client, char *buffer) {
  shutdown(client, SHUT_WR);
  for (int round = 0; round < DRAIN_ROUNDS && recv(client, buffer, REQUEST_BYTES_MAX, 0) > 0;) {
    round++;
  }
}

/* A client that stays silent is given up. */
static void limit_silence(int client) {
  struct timeval silence = {.tv_sec = SILENCE_MAX_S};
  setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
  setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
}

/* Listens, and prints where: port 0 is any that is free. */
static int listen_at(const char *address) {
  struct sockaddr_in at = {.sin_family = AF_INET};
  socklen_t size = sizeof at;
  char host[INET_ADDRSTRLEN];
  int port = 0;
  int listener = -1;
  int one = 1;
  if (sscanf(address, "%15[0-9.]:%d", host, &port) != 2 || port < 0 || port > 65535 ||
      inet_pton(AF_INET, host, &at.sin_addr) != 1) {
    fprintf(stderr, "--address: expected IPV4:PORT, found %s\n", address);
    return -1;
  }
  at.sin_port = htons((uint16_t)port);
  if ((listener = socket(AF_INET, SOCK_STREAM, 0)) < 0 ||
      setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 64) != 0 ||
      fcntl(listener, F_SETFL, O_NONBLOCK) != 0 ||
      getsockname(listener, (struct sockaddr *)&at, &size) != 0) {
    perror(address);
    return -1;
  }
  fprintf(stderr, "listening on %s:%d\n", host, ntohs(at.sin_port));
  return listener;
}

#endif
