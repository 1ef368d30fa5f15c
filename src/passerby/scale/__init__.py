"""Work on several processes and machines, by Ray (the extra ``passerby[ray]``); only the command line imports it."""
