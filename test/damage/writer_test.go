package damage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// change is a commit of one operation, as a feed delivers it.
type change struct {
	kind       db.ChangeKind
	space      string
	key, value string
	end        string // of a range delete
}

// builder writes a store and remembers what it wrote.
type builder struct {
	scale   int // how large values are
	store   *db.DB
	side    *db.Keyspace
	fs      *vfs.Mem
	opts    db.Options
	levels  int
	state   State
	log     []*View  // the states after the last commits; nil: nobody asks yet
	changes []change // all commits
	err     error
}

func (b *builder) do(err error) {
	if b.err == nil {
		b.err = err
	}
}

// note notes a commit.
func (b *builder) note(c change, err error) {
	b.do(err)
	c.space = spaceOf(c.key)
	b.changes = append(b.changes, c)
	if b.log != nil {
		b.log = append(b.log, b.view())
	}
	synctest.Wait() // so that what the background does with it happens now
}

// view is the state now.
func (b *builder) view() *View {
	more := []string{"b", "zzz"}
	for i := range 60 {
		more = append(more, key("a", i), key("t", i), key("l", i%30))
	}
	return newView(b.state, more)
}

// at writes to the keyspace of a key.
func (b *builder) at(key string) *db.Keyspace {
	if spaceOf(key) == sideName {
		return b.side
	}
	return b.store.Default()
}

func (b *builder) put(key, value string) {
	b.state[key] = value
	b.note(change{kind: db.ChangePut, key: key, value: value}, b.at(key).Put([]byte(key), []byte(value)))
}

func (b *builder) putTTL(key, value string, ttl time.Duration) {
	if ttl > time.Hour {
		b.state[key] = value
	} else {
		delete(b.state, key) // expired by the time of the check
	}
	b.note(change{kind: db.ChangePut, key: key, value: value}, b.at(key).PutTTL([]byte(key), []byte(value), ttl))
}

func (b *builder) delete(key string) {
	delete(b.state, key)
	b.note(change{kind: db.ChangeDelete, key: key}, b.at(key).Delete([]byte(key)))
}

func (b *builder) merge(key, operand string) {
	b.state[key] += operand
	b.note(change{kind: db.ChangeMerge, key: key, value: operand}, b.at(key).Merge([]byte(key), []byte(operand)))
}

func (b *builder) deleteRange(from, to string) {
	maps.DeleteFunc(b.state, func(k, _ string) bool {
		return from <= k && k < to && spaceOf(k) == spaceOf(from)
	})
	b.note(change{kind: db.ChangeDeleteRange, key: from, end: to},
		b.at(from).DeleteRange(db.Between([]byte(from), []byte(to))))
}

func small(tag string, i int) string { return fmt.Sprintf("%s-value-%d", tag, i*i) }

// large is a value for the value log.
func (b *builder) large(tag string, i int) string {
	return fmt.Sprintf("%s-large-%d-", tag, i) + strings.Repeat(string(rune('a'+i%26)), b.scale*(270+i%40))
}

// noise is a value for a table that does not compress.
func (b *builder) noise(i int) string {
	var s strings.Builder
	for r := rand.New(rand.NewPCG(uint64(i), 1)); s.Len() < b.scale*220; {
		s.WriteByte(byte(r.Uint32()))
	}
	return s.String()
}

func key(kind string, i int) string { return fmt.Sprintf("%s/%03d", kind, i) }
