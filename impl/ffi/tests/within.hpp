// Payloads that a program describes after it has included a header within extern "C", outside of that and inside.
struct quote { double price; };
RINGPROOF_DESCRIBE(quote, RINGPROOF_FIELD(quote, price));
extern "C" {
struct more { int a; };
RINGPROOF_DESCRIBE(more, RINGPROOF_FIELD(more, a));
}

ringproof_status send(ringproof::producer<quote> &end, const quote &item);
ringproof_status send(ringproof::producer<quote> &end, const quote &item) { return end.push(item); }
ringproof_status send(ringproof::producer<more> &end, const more &item);
ringproof_status send(ringproof::producer<more> &end, const more &item) { return end.push(item); }
