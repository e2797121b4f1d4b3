// Package depgraph finds isolation anomalies in a history of transactions that
// append to lists and read them.
//
// A list tells its whole past: whoever reads [3 1 4] knows which appends came
// before and in which order. So the dependencies between transactions follow
// from what they saw, without looking into the store:
//
//	ww  T1 appended the element just before T2's
//	wr  T2 read a list that ends in T1's element
//	rw  T1 read a list, T2 appended the next element: T1 came before T2
//	rt  T1 had returned before T2 was begun
//
// A cycle of them is an order that nobody can have run in. Which kinds of edges
// a cycle has tells which anomaly it is; see Kind. A range read that does not
// show a key read the empty list there, so that phantoms are rw edges too.
//
// # Sources
//
// The graph and the names of the anomalies: A. Adya, "Weak Consistency: A
// Generalized Theory and Optimistic Implementations for Distributed
// Transactions", PhD thesis, MIT 1999, chapters 3 and 4. Inferring the graph
// from lists, anomalies beside cycles, and real-time edges: K. Kingsbury,
// P. Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
// Observations", PVLDB 14(3), 2020. Which cycles snapshot isolation excludes
// (all but those with two rw edges in a row): A. Fekete et al., "Making Snapshot
// Isolation Serializable", ACM TODS 30(2), 2005, and A. Cerone, A. Gotsman,
// "Analysing Snapshot Isolation", PODC 2016, theorem 9.
//
// # Soundness
//
// What is reported is an anomaly. What is clean has none among the appends that
// somebody read: end a history with a read of every key.
//
// # Concurrency
//
// Check changes nothing it is given and keeps nothing; calls are independent.
package depgraph
