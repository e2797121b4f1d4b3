package testkit

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAmountByOccasion(t *testing.T) {
	a := Amount{Short: 1, Normal: 2, CI: 3, Full: 4}
	normal := 2
	if testing.Short() {
		normal = 1
	}
	for _, c := range []struct {
		ci, soak string
		want     int
	}{{"", "", normal}, {"1", "", 3}, {"1", "full", 4}, {"", "full", 4}} {
		t.Setenv(CIEnv, c.ci)
		t.Setenv(SoakEnv, c.soak)
		b := a.Budget(t)
		if b.Want() != c.want || !b.More(c.want-1) || b.More(c.want) || b.Timed() {
			t.Errorf("%+v: %+v", c, b)
		}
	}
}

func TestSoakGoesOnUntilItsTimeIsOver(t *testing.T) {
	t.Setenv(SoakEnv, "20ms")
	synctest.Test(t, func(t *testing.T) { // where time passes only in Sleep
		b := Amount{Full: 1}.Budget(t)
		time.Sleep(19 * time.Millisecond)
		if !b.More(1000) || !b.Timed() || !Thorough() {
			t.Errorf("%+v has ended", b)
		}
		time.Sleep(2 * time.Millisecond)
		if b.More(0) {
			t.Errorf("%+v has not ended", b)
		}
	})
}

func TestSeedIsThatOfTheEnvironment(t *testing.T) {
	t.Setenv(SeedEnv, "17")
	if n := Seed(t); n != 17 {
		t.Errorf("seed %d", n)
	}
	t.Setenv(SeedEnv, "")
	if first, second := Seed(t), Seed(t); first == second {
		t.Errorf("two seeds are %d", first)
	}
}
