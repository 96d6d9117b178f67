// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * edit - lines typed at a terminal: cursor, history, completion. Bytes are taken as they come (edit_input),
 * so that the caller can wait for other things too, and print between edit_hide() and edit_show().
 */
#ifndef CLI_EDIT_H
#define CLI_EDIT_H

#include <stdbool.h>
#include <termios.h>
#include "base/str.h"
#include "base/vec.h"

#define EDIT_HISTORY  100u /* lines that are remembered */
#define EDIT_LINE_MAX (1u << 16)

enum edit_result { EDIT_MORE, EDIT_LINE, EDIT_END };

struct edit_words {
	VEC(char *) words; /* owned */
};
/* Adds a copy; out of memory is silent: a candidate is missing. */
void edit_words_add(struct edit_words *w, const char *word);

struct edit {
	const char *prompt;
	/* The words that the one at the end of @line may become; each with what shall follow it. */
	void (*complete)(const char *line, struct edit_words *out);
	struct termios saved;
	bool shown;
	struct str line;
	size_t at;	     /* the cursor, bytes into it */
	VEC(char *) history; /* owned; the newest last */
	size_t back;	     /* how far back the line shown is; 0: it is the new one */
	struct str fresh;    /* the new one, while another is shown */
	unsigned int escape; /* bytes of an escape sequence seen: ESC, ESC [ */
	unsigned int number; /* in it */
};

/* False: stdin and stdout are no terminal. edit_fini() puts the terminal back. */
bool edit_init(struct edit *e, const char *prompt,
	void (*complete)(const char *line, struct edit_words *out));
void edit_fini(struct edit *e);
/* Show prompt and line, the terminal in our hands; take them away again. */
void edit_show(struct edit *e);
void edit_hide(struct edit *e);
/* Read what has been typed. EDIT_LINE: ->line is complete, remembered, hidden; edit_next() begins another. */
enum edit_result edit_input(struct edit *e);
void edit_next(struct edit *e);

#endif
