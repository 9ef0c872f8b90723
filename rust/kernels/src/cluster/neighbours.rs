//! Density and connection of rows, learned from one pair of neighbours after another.
//!
//! A pair is kept only while one of its ends is not known to be dense, so that no end keeps as many pairs as make
//! it dense.

/// The cluster that a row joins if it is a neighbour of dense rows but not dense itself.
#[derive(Clone, Copy)]
pub(super) enum Border {
    /// The first cluster: that with the lowest dense row of all.
    FirstCluster,
    /// The cluster of its own lowest dense neighbour: rows far from it have no say.
    FirstNeighbour,
}

/// Pairs of neighbours may come in any order, each once.
pub(super) struct Neighbours<'a> {
    /// The number of points that makes a row dense.
    enough: usize,
    /// The points at each row: at least one.
    weights: &'a [usize],
    /// The points within reach of each row, its own among them.
    counts: Vec<usize>,
    /// Neighbours of a row that is not dense yet.
    waiting: Vec<Vec<u32>>,
    /// Towards the lowest dense row that a dense row is connected with.
    parents: Vec<u32>,
}

impl<'a> Neighbours<'a> {
    /// `min_points`, those of the row itself among them, make a row dense.
    pub(super) fn new(weights: &'a [usize], min_points: usize) -> Self {
        Self {
            enough: min_points,
            weights,
            counts: weights.to_vec(),
            waiting: vec![Vec::new(); weights.len()],
            parents: (0..weights.len() as u32).collect(),
        }
    }

    pub(super) fn pair(&mut self, a: u32, b: u32) {
        let (was_dense, other_was_dense) = (self.is_dense(a), self.is_dense(b));
        self.counts[a as usize] += self.weights[b as usize];
        self.counts[b as usize] += self.weights[a as usize];
        self.settle(a, b);
        self.released(a, was_dense);
        self.released(b, other_was_dense);
    }

    fn is_dense(&self, row: u32) -> bool {
        self.counts[row as usize] >= self.enough
    }

    /// Joins two dense rows; otherwise the pair waits at one that is not dense.
    fn settle(&mut self, a: u32, b: u32) {
        match (self.is_dense(a), self.is_dense(b)) {
            (true, true) => self.join(a, b),
            (true, false) => self.waiting[b as usize].push(a),
            (false, _) => self.waiting[a as usize].push(b),
        }
    }

    /// Settles the pairs that waited at a row until it became dense.
    fn released(&mut self, row: u32, was_dense: bool) {
        if !was_dense && self.is_dense(row) {
            for other in std::mem::take(&mut self.waiting[row as usize]) {
                self.settle(row, other);
            }
        }
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }

    fn root(&mut self, mut row: u32) -> u32 {
        while self.parents[row as usize] != row {
            let above = self.parents[self.parents[row as usize] as usize];
            self.parents[row as usize] = above;
            row = above;
        }
        row
    }

    /// The cluster of each row and the number of clusters.
    pub(super) fn labels(mut self, border: Border) -> (Vec<Option<u32>>, usize) {
        let rows = self.weights.len() as u32;
        let mut numbers = vec![0; rows as usize];
        let mut count = 0;
        for row in (0..rows).filter(|&row| self.is_dense(row) && self.parents[row as usize] == row) {
            numbers[row as usize] = count;
            count += 1;
        }
        let number = |root: u32| numbers[root as usize];
        ((0..rows).map(|row| self.cluster(row, border).map(number)).collect(), count as usize)
    }

    /// The lowest dense row of the cluster of a row.
    fn cluster(&mut self, row: u32, border: Border) -> Option<u32> {
        if self.is_dense(row) {
            return Some(self.root(row));
        }
        let waiting = std::mem::take(&mut self.waiting[row as usize]);
        let dense: Vec<u32> = waiting.into_iter().filter(|&other| self.is_dense(other)).collect();
        match border {
            Border::FirstCluster => dense.into_iter().map(|other| self.root(other)).min(),
            Border::FirstNeighbour => dense.into_iter().min().map(|other| self.root(other)),
        }
    }
}
