//! Types of other rooms that scripts hold as they are.

use super::handle::Handle;
use crate::error::Result;
use crate::host::run::Epochs;
use crate::host::show::Look;
use crate::host::show::plot::Plot;
use crate::space::ShrinkSchedule;

impl Handle for Epochs {
    fn text(&self) -> String {
        format!("epochs 1 to {}", self.n)
    }
}

impl Handle for ShrinkSchedule {
    fn text(&self) -> String {
        let due: Vec<String> = (1..=self.epochs).filter(|e| self.is_due(*e)).map(|e| e.to_string()).collect();
        format!("shrinks after epochs {} of {}", due.join(", "), self.epochs)
    }
}

impl Handle for Plot {
    fn text(&self) -> String {
        self.draw(&Look::PLAIN)
    }

    fn look(&self, look: &Look) -> Result<String> {
        Ok(self.draw(look))
    }
}
