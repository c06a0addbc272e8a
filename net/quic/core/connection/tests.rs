// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Two connections that talk to each other.

mod basics;
mod pair;
mod paths;
